//! The command line.

#[tokio::main]
async fn main() -> std::process::ExitCode {
    holoload::cli::run().await
}
