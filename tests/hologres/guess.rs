//! The DDL of a guess is taken by Hologres, and the table it makes takes the file.

use holoload::guess::{DdlDialect, Hints, Sample, guess};
use holoload::table::TableName;

use crate::lab::Hologres;

#[test]
fn the_ddl_of_a_guess_makes_a_table_that_takes_the_file() {
    let text = "order_id,at,amount,uid\n1,2024-01-05 10:20:30,1.50,ac97447f-146c-4d6c-914e-c283bb165804\n\
                2,2024-01-06 10:20:30,2.50,fad3bfe5-88eb-48b0-ace0-12e85946e1d7\n";
    let sample = Sample { head: text.as_bytes(), is_whole: true, ..Sample::default() };
    let guess = guess(&sample, &Hints::default()).expect("a guess");
    let table = TableName { schema: "public".to_owned(), name: "t".to_owned() };
    let hologres = Hologres::new("guess", &guess.ddl(&table, DdlDialect::Hologres));
    let report = hologres.load_with("write: {mode: upsert}", text).run().loaded();
    assert_eq!(report["row_count"], 2);
    assert_eq!(hologres.rows("SELECT order_id FROM t ORDER BY 1"), ["1", "2"]);
    let properties = hologres.rows(
        "SELECT property_key, property_value FROM hologres.hg_table_properties \
         WHERE table_name = 't' AND property_key IN ('distribution_key', 'orientation') ORDER BY 1",
    );
    assert_eq!(properties, ["distribution_key|order_id", "orientation|column"]);
}
