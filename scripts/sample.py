"""Book orders: rows as an order system would export them, the same ones for the same seed."""

from __future__ import annotations

import csv
import io
import random
import uuid

COLUMNS = ("order_id", "user_id", "book_id", "book_name", "order_cnt", "order_amt")

TABLE = "public.book_order"

CREATE_TABLE = f"""\
create table {TABLE} (
    order_id  text primary key,
    user_id   int8 not null,
    book_id   int8 not null,
    book_name text not null,
    order_cnt int8 not null,
    order_amt int8 not null
)"""

# As the vendor's documents write it: properties in the transaction that creates the table.
CREATE_HOLOGRES_TABLE = f"""\
BEGIN;
CREATE TABLE {TABLE} (
    order_id  text NOT NULL,
    user_id   bigint NOT NULL,
    book_id   bigint NOT NULL,
    book_name text NOT NULL,
    order_cnt bigint NOT NULL,
    order_amt bigint NOT NULL,
    PRIMARY KEY (order_id)
);
CALL set_table_property('{TABLE}', 'orientation', 'column');
CALL set_table_property('{TABLE}', 'distribution_key', 'order_id');
CALL set_table_property('{TABLE}', 'clustering_key', 'order_id');
CALL set_table_property('{TABLE}', 'bitmap_columns', 'book_name');
CALL set_table_property('{TABLE}', 'dictionary_encoding_columns', 'book_name');
COMMIT;
"""

Order = tuple[str, int, int, str, int, int]


def book_orders(row_count: int, seed: int) -> list[Order]:
    """`row_count` orders; two seeds never make the same order twice."""
    generator = random.Random(seed)
    return [_order(generator) for _ in range(row_count)]


def as_csv(orders: list[Order], *, header: bool) -> bytes:
    """The file that the exporting side writes: comma, CRLF, quotes only where needed."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    if header:
        writer.writerow(COLUMNS)
    writer.writerows(orders)
    return text.getvalue().encode()


def _order(generator: random.Random) -> Order:
    order_id = str(uuid.UUID(int=generator.getrandbits(128), version=4))
    book_id = generator.randint(1, 999)
    count = generator.randint(1, 20)
    price = 100 + book_id * 3
    return (order_id, generator.randint(10_000, 99_999), book_id, f"book_name_{book_id:03}", count, count * price)
