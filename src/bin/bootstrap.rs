//! The Lambda handler.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    holoload::lambda::run().await
}
