"""What the vendor's client for Python sends, sent to the server that libpq's variables name; `HOLOGRES_VERSION` is its version.

`conformance.py` starts this with the client's own environment.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import os
import sys
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from hologres import AsyncHoloClient, Get, HoloClient, HoloClientException, HoloConfig, OnConflictAction, Put, Scan
from hologres.copy import CopyFormat, CopyMode
from hologres.types import MutationType

VERSION = tuple(int(part) for part in os.environ["HOLOGRES_VERSION"].split("."))
FIXED_COPY_PARENT_SINCE = (3, 1)
BULK_CONFLICT_SINCE = (3, 0)

UPDATE = OnConflictAction.INSERT_OR_UPDATE
IGNORE = OnConflictAction.INSERT_OR_IGNORE
REPLACE = OnConflictAction.INSERT_OR_REPLACE

Row = dict[str, Any]
CHECKS: list[tuple[str, Callable[[str], None]]] = []

CREATE_ITEM = """
BEGIN;
CREATE TABLE {table} (id bigint NOT NULL, name text, amount numeric(10, 2), PRIMARY KEY (id));
CALL set_table_property('{table}', 'orientation', 'column');
CALL set_table_property('{table}', 'distribution_key', 'id');
CALL set_table_property('{table}', 'clustering_key', 'id');
COMMIT;
"""
CREATE_PARENT = """
BEGIN;
CREATE TABLE {table} (id bigint NOT NULL, day text NOT NULL, name text, PRIMARY KEY (id, day)) PARTITION BY LIST (day);
CALL set_table_property('{table}', 'orientation', 'column');
CALL set_table_property('{table}', 'distribution_key', 'id');
COMMIT;
CREATE TABLE {table}_20260101 PARTITION OF {table} FOR VALUES IN ('20260101');
CREATE TABLE {table}_20260102 PARTITION OF {table} FOR VALUES IN ('20260102');
"""
EVERY_TYPE = {
    "c_bool": ("bool", True),
    "c_int2": ("int2", 7),
    "c_int4": ("int4", 70_000),
    "c_float4": ("float4", 1.5),
    "c_float8": ("float8", 2.25),
    "c_numeric": ("numeric(10, 2)", Decimal("12.34")),
    "c_text": ("text", 'über, "quoted"\n\tand long'),
    "c_varchar": ("varchar(20)", "varchar"),
    "c_char": ("char(4)", "char"),
    "c_date": ("date", datetime.date(2026, 1, 2)),
    "c_timestamp": ("timestamp", datetime.datetime(2026, 1, 2, 3, 4, 5, 678_901)),
    "c_timestamptz": ("timestamptz", datetime.datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=datetime.timezone.utc)),
    "c_bytea": ("bytea", b"\x00\x01\xff"),
}


def check(title: str) -> Callable[[Callable[[str], None]], Callable[[str], None]]:
    """Registers a check; it is given the name of a table that does not exist yet."""

    def register(function: Callable[[str], None]) -> Callable[[str], None]:
        CHECKS.append((title, function))
        return function

    return register


def main() -> int:
    logging.disable(logging.CRITICAL)
    failure_count = 0
    for number, (title, function) in enumerate(CHECKS):
        try:
            function(f"public.python_{number}")
        except Exception as error:  # whatever a client raises is what is to be told
            failure_count += 1
            tell("FAIL", title, f"\n        {type(error).__name__}: {' '.join(str(error).split())[:400]}")
        else:
            tell("ok", title)
    return 1 if failure_count else 0


def tell(verdict: str, title: str, more: str = "") -> None:
    print(f"  {verdict:<5} python  {title}{more}", flush=True)


def client(**options: Any) -> HoloClient:
    return HoloClient(config(**options))


def config(**options: Any) -> HoloConfig:
    chosen = {"write_parallelism": 1, "read_parallelism": 1, "retry_count": 1, "on_conflict_action": UPDATE, **options}
    return HoloConfig(
        host=os.environ["PGHOST"],
        port=int(os.environ["PGPORT"]),
        database=os.environ["PGDATABASE"],
        username=os.environ["PGUSER"],
        password=os.environ["PGPASSWORD"],
        **chosen,
    )


def run_sql(script: str) -> None:
    """One statement after the other, through the client's own connection."""
    with client() as holo:
        for statement in filter(None, map(str.strip, script.split(";"))):
            holo.sql(lambda connection, statement=statement: connection.execute(statement))


def rows(table: str, columns: str = "*", order: str = "id") -> list[tuple[Any, ...]]:
    with client() as holo:
        return holo.sql(lambda connection: connection.execute(f"SELECT {columns} FROM {table} ORDER BY {order}").fetchall())


def put(table: str, records: Iterable[Row], **options: Any) -> None:
    with client(**options) as holo:
        schema = holo.get_table_schema(table)
        for record in records:
            holo.put(filled(Put(schema), record))
        holo.flush()


def copy(table: str, records: Iterable[Row], mode: CopyMode, fmt: CopyFormat, **options: Any) -> None:
    with client(**options) as holo, holo.copy_writer(table, mode=mode, fmt=fmt) as writer:
        for record in records:
            writer.write(filled(Put(writer.schema), record))


def filled(one: Put, record: Row) -> Put:
    for name, value in record.items():
        one.set_object(name, value)
    return one


def item(number: int, name: str = "tea") -> Row:
    return {"id": number, "name": f"{name}-{number}", "amount": Decimal("1.50")}


def expect(found: Any, wanted: Any) -> None:
    if found != wanted:
        raise AssertionError(f"found {found!r}, wanted {wanted!r}")


def expect_refusal(text: str, action: Callable[[], None]) -> None:
    """The client must be refused, and with this text."""
    try:
        action()
    except Exception as error:
        if text not in str(error):
            raise
        return
    raise AssertionError(f"it was taken; wanted a refusal: {text}")


@check("version")
def _(_table: str) -> None:
    with client() as holo:
        expect(holo.get_holo_version()[:2], VERSION)


@check("schema loader: columns, key, distribution key, shard count")
def _(table: str) -> None:
    run_sql(CREATE_ITEM.format(table=table))
    with client() as holo:
        schema = holo.get_table_schema(table)
        expect(schema.column_names, ["id", "name", "amount"])
        expect((schema.primary_keys, schema.distribution_keys, schema.partition_column), (["id"], ["id"], None))
        expect(schema.shard_count > 0, True)
        expect(bool(schema.table_id and schema.schema_version), True)


@check("schema loader: partitioned parent")
def _(table: str) -> None:
    run_sql(CREATE_PARENT.format(table=table))
    with client() as holo:
        schema = holo.get_table_schema(table)
        # What it makes of the partition column is not looked at: it asks for the second one, of which there is none.
        expect(schema.primary_keys, ["id", "day"])


@check("put, INSERT_OR_UPDATE: columns that are not set stay")
def _(table: str) -> None:
    run_sql(CREATE_ITEM.format(table=table))
    put(table, (item(number) for number in range(1000)))
    put(table, [{"id": 1, "name": "changed"}, {"id": 1, "name": "changed again"}])
    expect(rows(table)[:2], [(0, "tea-0", Decimal("1.50")), (1, "changed again", Decimal("1.50"))])
    expect(rows(table, "count(*)", "1"), [(1000,)])


@check("put, INSERT_OR_REPLACE")
def _(table: str) -> None:
    run_sql(CREATE_ITEM.format(table=table))
    for name in ("old", "new"):
        put(table, [item(number, name) for number in range(100)], on_conflict_action=REPLACE)
    expect(rows(table)[99], (99, "new-99", Decimal("1.50")))


@check("put, INSERT_OR_IGNORE")
def _(table: str) -> None:
    run_sql(CREATE_ITEM.format(table=table))
    for name in ("old", "new"):
        put(table, [item(number, name) for number in range(100)], on_conflict_action=IGNORE)
    expect(rows(table)[99], (99, "old-99", Decimal("1.50")))


@check("put from several processes at once")
def _(table: str) -> None:
    run_sql(CREATE_ITEM.format(table=table))
    put(table, (item(number) for number in range(2000)), write_parallelism=2)
    expect(rows(table, "count(*), sum(amount)", "1"), [(2000, Decimal("3000.00"))])


@check("put, every type of a Fixed Plan")
def _(table: str) -> None:
    create_every_type(table)
    put(table, [every_type(1), {"id": 2}])
    expect_every_type(table)


@check("put, arrays and uuid: rows of VALUES")
def _(table: str) -> None:
    run_sql(f"CREATE TABLE {table} (id bigint PRIMARY KEY, tags text[], sizes int8[])")
    put(table, [{"id": 1, "tags": ["a", "b"], "sizes": [1, 2]}, {"id": 2, "tags": None, "sizes": [3]}])
    expect(rows(table), [(1, ["a", "b"], [1, 2]), (2, None, [3])])


@check("put, jsonb")
def _(table: str) -> None:
    run_sql(f"CREATE TABLE {table} (id bigint PRIMARY KEY, data jsonb)")
    put(table, [{"id": 1, "data": '{"a": 1}'}])
    expect(rows(table), [(1, {"a": 1})])


@check("put, a bad row among good ones: the client falls back to single rows")
def _(table: str) -> None:
    run_sql(CREATE_ITEM.format(table=table))
    bad = {**item(2), "amount": Decimal("123456789012.00")}
    expect_refusal("numeric field overflow", lambda: put(table, [item(1), bad, item(3)]))
    expect([row[0] for row in rows(table)], [1, 3])


@check("delete, get, scan")
def _(table: str) -> None:
    run_sql(CREATE_ITEM.format(table=table))
    put(table, [item(number) for number in range(10)])
    with client() as holo:
        schema = holo.get_table_schema(table)
        delete = Put(schema).set_object("id", 3)
        delete.mutation_type = MutationType.DELETE
        holo.put(delete)
        holo.flush()
        expect(holo.get(Get.builder(schema).set_primary_key("id", 3).build()), None)
        expect(holo.get(Get.builder(schema).set_primary_key("id", 4).build()).get_object("name"), "tea-4")
        expect(len(holo.scan(Scan.builder(schema).build())), 9)


def check_fixed_copy(fmt: CopyFormat) -> None:
    @check(f"fixed copy, {fmt.value}, on_conflict update")
    def _(table: str) -> None:
        run_sql(CREATE_ITEM.format(table=table))
        for name in ("old", "new"):
            copy(table, [item(number, name) for number in range(2500)], CopyMode.STREAM, fmt)
        expect(rows(table, "count(*), min(name)", "1"), [(2500, "new-0")])

    @check(f"fixed copy, {fmt.value}, on_conflict ignore")
    def _(table: str) -> None:
        run_sql(CREATE_ITEM.format(table=table))
        for name in ("old", "new"):
            copy(table, [item(number, name) for number in range(100)], CopyMode.STREAM, fmt, on_conflict_action=IGNORE)
        expect(rows(table, "count(*), min(name)", "1"), [(100, "old-0")])

    @check(f"fixed copy, {fmt.value}, every type of a Fixed Plan")
    def _(table: str) -> None:
        create_every_type(table)
        copy(table, [every_type(1), {"id": 2}], CopyMode.STREAM, fmt)
        expect_every_type(table)

    @check(f"fixed copy, {fmt.value}, nothing at all")
    def _(table: str) -> None:
        run_sql(CREATE_ITEM.format(table=table))
        copy(table, [], CopyMode.STREAM, fmt)
        expect(rows(table), [])

    @check(f"fixed copy, {fmt.value}, partitioned parent")
    def _(table: str) -> None:
        run_sql(CREATE_PARENT.format(table=table))
        records = [{"id": number, "day": f"2026010{number % 2 + 1}", "name": "x"} for number in range(10)]
        if VERSION < FIXED_COPY_PARENT_SINCE:
            expect_refusal("parent table", lambda: copy(table, records, CopyMode.STREAM, fmt))
            return
        copy(table, records, CopyMode.STREAM, fmt)
        expect(rows(f"{table}_20260102", "count(*)", "1"), [(5,)])


for one_format in CopyFormat:
    check_fixed_copy(one_format)


@check("bulk COPY, text, table without key")
def _(table: str) -> None:
    run_sql(f"CREATE TABLE {table} (id bigint, name text)")
    for _ in range(2):
        copy(table, [{"id": number, "name": "x"} for number in range(100)], CopyMode.BULK_LOAD, CopyFormat.TEXT)
    expect(rows(table, "count(*)", "1"), [(200,)])


@check("bulk COPY, text, on_conflict update")
def _(table: str) -> None:
    run_sql(CREATE_ITEM.format(table=table))

    def load() -> None:
        for name in ("old", "new"):
            copy(table, [item(number, name) for number in range(100)], CopyMode.BULK_LOAD_ON_CONFLICT, CopyFormat.TEXT)

    # The client does not send this itself, and has no place for settings of its session.
    run_sql(f"ALTER DATABASE {os.environ['PGDATABASE']} SET hg_experimental_copy_enable_on_conflict = on")
    if VERSION < BULK_CONFLICT_SINCE:
        expect_refusal("on_conflict", load)
        return
    load()
    expect(rows(table, "count(*), min(name)", "1"), [(100, "new-0")])


@check("bulk COPY, binary: refused")
def _(table: str) -> None:
    run_sql(f"CREATE TABLE {table} (id bigint, name text)")
    expect_refusal("", lambda: copy(table, [{"id": 1, "name": "x"}], CopyMode.BULK_LOAD, CopyFormat.BINARY))
    expect(rows(table), [])


@check("partitioned parent: put")
def _(table: str) -> None:
    run_sql(CREATE_PARENT.format(table=table))
    put(table, [{"id": number, "day": f"2026010{number % 2 + 1}", "name": "x"} for number in range(10)])
    put(table, [{"id": 1, "day": "20260102", "name": "changed"}])
    expect(rows(f"{table}_20260102", "id, name")[0], (1, "changed"))


@check("partitioned parent: put where no partition is")
def _(table: str) -> None:
    run_sql(CREATE_PARENT.format(table=table))
    # The texts of the two ways into a parent are not the same.
    expect_refusal("partition", lambda: put(table, [{"id": 1, "day": "20991231", "name": "x"}]))


@check("light connection (type=fixed): put, get, fixed copy")
def _(table: str) -> None:
    run_sql(CREATE_ITEM.format(table=table))
    with client(use_fixed_fe=True) as holo:
        schema = holo.get_table_schema(table)
        for number in range(10):
            holo.put(filled(Put(schema), item(number)))
        holo.flush()
        expect(holo.get(Get.builder(schema).set_primary_key("id", 4).build()).get_object("name"), "tea-4")
    if VERSION < FIXED_COPY_PARENT_SINCE:
        return  # a fixed copy there needs V3.1 too
    copy(table, [item(number, "new") for number in range(10)], CopyMode.STREAM, CopyFormat.BINARY, use_fixed_fe=True)
    expect(rows(table, "min(name)", "1"), [("new-0",)])


@check("asynchronous client: put, fixed copy")
def _(table: str) -> None:
    run_sql(CREATE_ITEM.format(table=table))

    async def load() -> None:
        async with AsyncHoloClient(config()) as holo:
            schema = await holo.get_table_schema(table)
            for number in range(10):
                await holo.put(filled(Put(schema), item(number)))
            await holo.flush()
            async with await holo.copy_writer(table, mode=CopyMode.STREAM, fmt=CopyFormat.BINARY) as writer:
                for number in range(10, 20):
                    await writer.write(filled(Put(writer.schema), item(number)))

    asyncio.run(load())
    expect(rows(table, "count(*)", "1"), [(20,)])


@check("wrong password")
def _(_table: str) -> None:
    def connect() -> None:
        wrong = config()
        wrong.password = "wrong"
        with HoloClient(wrong) as holo:
            holo.get_holo_version()

    try:
        connect()
    except HoloClientException as error:
        expect(error.code.name, "AUTH_FAIL")
        return
    raise AssertionError("it logged in")


def create_every_type(table: str) -> None:
    columns = ", ".join(f"{name} {sql}" for name, (sql, _) in EVERY_TYPE.items())
    run_sql(f"CREATE TABLE {table} (id bigint PRIMARY KEY, {columns})")


def every_type(number: int) -> Row:
    return {"id": number, **{name: value for name, (_, value) in EVERY_TYPE.items()}}


def expect_every_type(table: str) -> None:
    full, empty = rows(table)
    expect(dict(zip(EVERY_TYPE, full[1:], strict=True)), {name: value for name, (_, value) in EVERY_TYPE.items()})
    expect(set(empty[1:]), {None})


if __name__ == "__main__":
    sys.exit(main())
