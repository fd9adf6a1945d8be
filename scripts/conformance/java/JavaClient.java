import com.alibaba.hologres.client.CheckAndPut;
import com.alibaba.hologres.client.Get;
import com.alibaba.hologres.client.HoloClient;
import com.alibaba.hologres.client.HoloConfig;
import com.alibaba.hologres.client.Put;
import com.alibaba.hologres.client.copy.CopyMode;
import com.alibaba.hologres.client.copy.CopyUtil;
import com.alibaba.hologres.client.copy.in.CopyInOutputStream;
import com.alibaba.hologres.client.copy.in.RecordBinaryOutputStream;
import com.alibaba.hologres.client.copy.in.RecordOutputStream;
import com.alibaba.hologres.client.copy.in.RecordTextOutputStream;
import com.alibaba.hologres.client.impl.util.ConnectionUtil;
import com.alibaba.hologres.client.model.OnConflictAction;
import com.alibaba.hologres.client.model.Record;
import com.alibaba.hologres.client.model.SSLMode;
import com.alibaba.hologres.client.model.TableName;
import com.alibaba.hologres.client.model.TableSchema;
import com.alibaba.hologres.client.model.checkandput.CheckCompareOp;
import com.alibaba.hologres.org.postgresql.copy.CopyManager;
import com.alibaba.hologres.org.postgresql.core.BaseConnection;
import com.alibaba.hologres.org.postgresql.jdbc.PgConnection;

import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.Date;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.Statement;
import java.sql.Timestamp;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Properties;

/**
 * What the vendor's client for Java sends, sent to the server that libpq's variables name; HOLOGRES_VERSION is its version.
 */
public final class JavaClient {
    private static final double VERSION = Double.parseDouble(environment("HOLOGRES_VERSION"));
    private static final double FIXED_COPY_PARENT_SINCE = 3.1;
    private static final double BULK_CONFLICT_SINCE = 3.0;

    private static final String CREATE_ITEM =
        "BEGIN; CREATE TABLE %1$s (id bigint NOT NULL, name text, amount numeric(10, 2), PRIMARY KEY (id)); "
            + "CALL set_table_property('%1$s', 'orientation', 'column'); "
            + "CALL set_table_property('%1$s', 'distribution_key', 'id'); COMMIT";
    private static final String CREATE_PARENT =
        "CREATE TABLE %1$s (id bigint NOT NULL, day text NOT NULL, name text, PRIMARY KEY (id, day)) PARTITION BY LIST (day)";
    private static final String CREATE_EVERY_TYPE =
        "CREATE TABLE %s (id bigint PRIMARY KEY, c_bool bool, c_int2 int2, c_int4 int4, c_float4 float4, c_float8 float8, "
            + "c_numeric numeric(10, 2), c_text text, c_varchar varchar(20), c_char char(4), c_date date, "
            + "c_timestamp timestamp, c_timestamptz timestamptz, c_bytea bytea, c_jsonb jsonb)";
    private static final Object[] EVERY_TYPE = {
        1L, true, (short) 7, 70_000, 1.5f, 2.25d, new BigDecimal("12.34"), "\u00fcber, \"quoted\"\n\tand long", "varchar", "char",
        Date.valueOf("2026-01-02"), Timestamp.valueOf("2026-01-02 03:04:05.678"),
        Timestamp.valueOf("2026-01-02 03:04:05.678"), new byte[] {0, 1, -1}, "{\"a\": 1}",
    };

    private int tableCount;
    private int failureCount;

    private interface Check {
        void run(String table) throws Exception;
    }

    private interface Filler {
        void fill(Record record, int number);
    }

    public static void main(String[] arguments) throws Exception {
        JavaClient client = new JavaClient();
        client.checkPuts();
        for (boolean isBinary : new boolean[] {true, false}) {
            client.checkFixedCopy(isBinary);
        }
        client.checkBulkCopy();
        client.checkPartitions();
        client.checkLightConnection();
        System.exit(client.failureCount == 0 ? 0 : 1);
    }

    private void check(String title, Check check) {
        String table = "public.java_" + tableCount++;
        try {
            check.run(table);
            tell("ok", title);
        } catch (Throwable error) {
            failureCount++;
            tell("FAIL", title + "\n        " + messages(error));
        }
    }

    private static void tell(String verdict, String text) {
        System.out.printf("  %-5s java    %s%n", verdict, text);
        System.out.flush();
    }

    private void checkPuts() {
        check("schema: columns, key, distribution key", table -> {
            execute(String.format(CREATE_ITEM, table));
            try (HoloClient client = new HoloClient(config())) {
                TableSchema schema = client.getTableSchema(table);
                expect(Arrays.asList(schema.getPrimaryKeys()), Arrays.asList("id"));
                expect(Arrays.asList(schema.getDistributionKeys()), Arrays.asList("id"));
                expect(schema.getColumnSchema().length, 3);
            }
        });
        check("put, INSERT_OR_UPDATE: columns that are not set stay", table -> {
            execute(String.format(CREATE_ITEM, table));
            put(config(), table, 1000, JavaClient::fillItem);
            put(config(), table, 2, (record, number) -> {
                record.setObject(0, 1L);
                record.setObject(1, "changed " + number);
            });
            expect(query("SELECT count(*) FROM " + table), "1000");
            expect(query("SELECT name || ' ' || amount FROM " + table + " WHERE id = 1"), "changed 1 1.50");
        });
        check("put, INSERT_OR_REPLACE: columns that are not set are emptied", table -> {
            execute(String.format(CREATE_ITEM, table));
            HoloConfig config = config();
            config.setOnConflictAction(OnConflictAction.INSERT_OR_REPLACE);
            put(config, table, 100, JavaClient::fillItem);
            put(config, table, 100, (record, number) -> {
                record.setObject(0, (long) number);
                record.setObject(1, "new");
            });
            expect(query("SELECT count(*) || ' ' || count(amount) || ' ' || min(name) FROM " + table), "100 0 new");
        });
        check("put, INSERT_OR_IGNORE", table -> {
            execute(String.format(CREATE_ITEM, table));
            HoloConfig config = config();
            config.setOnConflictAction(OnConflictAction.INSERT_OR_IGNORE);
            put(config, table, 100, JavaClient::fillItem);
            put(config, table, 100, (record, number) -> {
                record.setObject(0, (long) number);
                record.setObject(1, "new");
            });
            expect(query("SELECT min(name) FROM " + table), "tea");
        });
        check("put, every type of a Fixed Plan", table -> {
            execute(String.format(CREATE_EVERY_TYPE, table));
            put(config(), table, 3, JavaClient::fillEveryType);
            expectEveryType(table);
        });
        check("put, arrays: rows of VALUES", table -> {
            execute("CREATE TABLE " + table + " (id bigint PRIMARY KEY, tags text[], sizes int8[])");
            put(config(), table, 10, (record, number) -> {
                record.setObject(0, (long) number);
                record.setObject(1, new String[] {"a", "b"});
                record.setObject(2, new Long[] {1L, 2L});
            });
            expect(query("SELECT count(*) || ' ' || min(tags[2]) || ' ' || min(sizes[2]) FROM " + table), "10 b 2");
        });
        check("put, a column that is only inserted", table -> {
            execute(String.format(CREATE_ITEM, table));
            try (HoloClient client = new HoloClient(config())) {
                TableSchema schema = client.getTableSchema(table);
                for (String name : new String[] {"old", "new"}) {
                    Put put = new Put(schema);
                    put.setObject("id", 1L).setObject("name", name, true).setObject("amount", new BigDecimal("2.00"));
                    client.put(put);
                    client.flush();
                }
            }
            expect(query("SELECT name FROM " + table), "old");
        });
        check("put, a bad row among good ones: the client falls back to single rows", table -> {
            execute(String.format(CREATE_ITEM, table));
            expectRefusal("numeric field overflow", () -> put(config(), table, 3, (record, number) -> {
                fillItem(record, number);
                record.setObject(2, new BigDecimal(number == 1 ? "123456789012" : "1"));
            }));
            expect(query("SELECT string_agg(id::text, ',' ORDER BY id) FROM " + table), "0,2");
        });
        check("check and put: only a newer row", table -> {
            execute(String.format(CREATE_ITEM, table));
            try (HoloClient client = new HoloClient(config())) {
                TableSchema schema = client.getTableSchema(table);
                for (String amount : new String[] {"2", "3", "1"}) {
                    CheckAndPut put = new CheckAndPut(schema, "amount", CheckCompareOp.GREATER, null, "0");
                    put.setObject("id", 1L).setObject("name", amount).setObject("amount", new BigDecimal(amount));
                    client.checkAndPut(put);
                    client.flush();
                }
            }
            expect(query("SELECT name FROM " + table), "3");
        });
        check("delete and get", table -> {
            execute(String.format(CREATE_ITEM, table));
            put(config(), table, 10, JavaClient::fillItem);
            try (HoloClient client = new HoloClient(config())) {
                TableSchema schema = client.getTableSchema(table);
                Put delete = new Put(schema);
                delete.setObject("id", 3L);
                delete.getRecord().setType(Put.MutationType.DELETE);
                client.put(delete);
                client.flush();
                expect(client.get(Get.newBuilder(schema).setPrimaryKey("id", 3L).build()).get(), null);
                Record found = client.get(Get.newBuilder(schema).setPrimaryKey("id", 4L).build()).get();
                expect(found.getObject("name"), "tea");
            }
        });
    }

    private void checkFixedCopy(boolean isBinary) {
        String how = "fixed copy, " + (isBinary ? "binary" : "csv");
        check(how + ", on_conflict update", table -> {
            execute(String.format(CREATE_ITEM, table));
            copy(table, isBinary, OnConflictAction.INSERT_OR_REPLACE, CopyMode.STREAM, 2500, JavaClient::fillItem);
            copy(table, isBinary, OnConflictAction.INSERT_OR_REPLACE, CopyMode.STREAM, 2500, JavaClient::fillNewItem);
            expect(query("SELECT count(*) || ' ' || min(name) FROM " + table), "2500 new");
        });
        check(how + ", on_conflict ignore", table -> {
            execute(String.format(CREATE_ITEM, table));
            copy(table, isBinary, OnConflictAction.INSERT_OR_IGNORE, CopyMode.STREAM, 100, JavaClient::fillItem);
            copy(table, isBinary, OnConflictAction.INSERT_OR_IGNORE, CopyMode.STREAM, 100, JavaClient::fillNewItem);
            expect(query("SELECT count(*) || ' ' || min(name) FROM " + table), "100 tea");
        });
        check(how + ", some of the columns", table -> {
            execute(String.format(CREATE_ITEM, table));
            copy(table, isBinary, OnConflictAction.INSERT_OR_REPLACE, CopyMode.STREAM, 100, JavaClient::fillItem);
            copy(table, isBinary, OnConflictAction.INSERT_OR_UPDATE, CopyMode.STREAM, 100, (record, number) -> {
                record.setObject(0, (long) number);
                record.setObject(1, "new");
            });
            expect(query("SELECT count(amount) || ' ' || min(name) FROM " + table), "100 new");
        });
        check(how + ", every type of a Fixed Plan", table -> {
            execute(String.format(CREATE_EVERY_TYPE, table));
            copy(table, isBinary, OnConflictAction.INSERT_OR_REPLACE, CopyMode.STREAM, 3, JavaClient::fillEveryType);
            expectEveryType(table);
        });
        check(how + ", nothing at all", table -> {
            execute(String.format(CREATE_ITEM, table));
            copy(table, isBinary, OnConflictAction.INSERT_OR_UPDATE, CopyMode.STREAM, 0, JavaClient::fillItem);
            expect(query("SELECT count(*) FROM " + table), "0");
        });
        check(how + ", partitioned parent", table -> {
            execute(String.format(CREATE_PARENT, table));
            execute(String.format("CREATE TABLE %1$s_1 PARTITION OF %1$s FOR VALUES IN ('20260101')", table));
            Check load = name ->
                copy(name, isBinary, OnConflictAction.INSERT_OR_REPLACE, CopyMode.STREAM, 10, (record, number) -> {
                    record.setObject(0, (long) number);
                    record.setObject(1, "20260101");
                    record.setObject(2, "x");
                });
            if (VERSION < FIXED_COPY_PARENT_SINCE) {
                expectRefusal("parent table", () -> load.run(table));
                return;
            }
            load.run(table);
            expect(query("SELECT count(*) FROM " + table + "_1"), "10");
        });
    }

    private void checkBulkCopy() {
        check("bulk COPY, csv, table without key", table -> {
            execute("CREATE TABLE " + table + " (id bigint, name text, amount numeric(10, 2))");
            copy(table, false, null, CopyMode.BULK_LOAD, 100, JavaClient::fillItem);
            expect(query("SELECT count(*) FROM " + table), "100");
        });
        check("bulk COPY, csv, on_conflict update", table -> {
            execute(String.format(CREATE_ITEM, table));
            Check load = name -> {
                copy(name, false, OnConflictAction.INSERT_OR_REPLACE, CopyMode.BULK_LOAD_ON_CONFLICT, 100, JavaClient::fillItem);
                copy(name, false, OnConflictAction.INSERT_OR_REPLACE, CopyMode.BULK_LOAD_ON_CONFLICT, 100, JavaClient::fillNewItem);
            };
            if (VERSION < BULK_CONFLICT_SINCE) {
                expectRefusal("on_conflict", () -> load.run(table));
                return;
            }
            load.run(table);
            expect(query("SELECT count(*) || ' ' || min(name) FROM " + table), "100 new");
        });
    }

    private void checkPartitions() {
        check("partitioned parent: put into partitions that are there", table -> {
            execute(String.format(CREATE_PARENT, table));
            execute(String.format("CREATE TABLE %1$s_1 PARTITION OF %1$s FOR VALUES IN ('20260101')", table));
            put(config(), table, 10, (record, number) -> {
                record.setObject(0, (long) number);
                record.setObject(1, "20260101");
                record.setObject(2, "x");
            });
            expect(query("SELECT count(*) FROM " + table + "_1"), "10");
        });
        check("partitioned parent: put makes the partitions (dynamicPartition)", table -> {
            execute(String.format(CREATE_PARENT, table));
            HoloConfig config = config();
            config.setDynamicPartition(true);
            put(config, table, 10, (record, number) -> {
                record.setObject(0, (long) number);
                record.setObject(1, "2026010" + (1 + number % 2));
                record.setObject(2, "x");
            });
            expect(query("SELECT count(*) || ' ' || count(DISTINCT tableoid) FROM " + table), "10 2");
        });
        check("partitioned parent: put where no partition is", table -> {
            execute(String.format(CREATE_PARENT, table));
            expectRefusal("partition", () -> put(config(), table, 1, (record, number) -> {
                record.setObject(0, 1L);
                record.setObject(1, "20991231");
                record.setObject(2, "x");
            }));
        });
    }

    private void checkLightConnection() {
        check("light connection (type=fixed): put and get", table -> {
            execute(String.format(CREATE_ITEM, table));
            HoloConfig config = config();
            config.setUseFixedFe(true);
            put(config, table, 10, JavaClient::fillItem);
            try (HoloClient client = new HoloClient(config)) {
                TableSchema schema = client.getTableSchema(table);
                expect(client.get(Get.newBuilder(schema).setPrimaryKey("id", 4L).build()).get().getObject("name"), "tea");
            }
        });
    }

    private static void fillItem(Record record, int number) {
        record.setObject(0, (long) number);
        record.setObject(1, "tea");
        record.setObject(2, new BigDecimal("1.50"));
    }

    private static void fillNewItem(Record record, int number) {
        fillItem(record, number);
        record.setObject(1, "new");
    }

    private static void fillEveryType(Record record, int number) {
        record.setObject(0, (long) number);
        for (int column = 1; column < EVERY_TYPE.length; column++) {
            record.setObject(column, number == 2 ? null : EVERY_TYPE[column]);
        }
    }

    private static void expectEveryType(String table) throws Exception {
        String row =
            "SELECT concat_ws('|', c_bool, c_int2, c_int4, c_float4, c_float8, c_numeric, c_text, c_varchar, c_char, c_date, "
                + "c_timestamp, (extract(epoch FROM c_timestamptz) * 1000)::int8, c_bytea, c_jsonb) FROM " + table + " WHERE id = ";
        String moment = String.valueOf(Timestamp.valueOf("2026-01-02 03:04:05.678").getTime());
        String found = query(row + 1);
        expect(found, "t|7|70000|1.5|2.25|12.34|\u00fcber, \"quoted\"\n\tand long|varchar|char|2026-01-02|2026-01-02 03:04:05.678|"
            + moment + "|\\x0001ff|{\"a\": 1}");
        expect(query(row + 2), "");
    }

    private static void put(HoloConfig config, String table, int count, Filler filler) throws Exception {
        try (HoloClient client = new HoloClient(config)) {
            TableSchema schema = client.getTableSchema(table);
            for (int number = 0; number < count; number++) {
                Put put = new Put(schema);
                filler.fill(put.getRecord(), number);
                client.put(put);
            }
            client.flush();
        }
    }

    /** As the vendor's own test of it does. */
    private static void copy(
        String table, boolean isBinary, OnConflictAction action, CopyMode mode, int count, Filler filler
    ) throws Exception {
        try (Connection connection = connect()) {
            PgConnection session = connection.unwrap(PgConnection.class);
            if (mode == CopyMode.BULK_LOAD_ON_CONFLICT && VERSION >= BULK_CONFLICT_SINCE) {
                try (Statement statement = connection.createStatement()) {
                    statement.execute("set hg_experimental_copy_enable_on_conflict = on");
                }
            }
            TableName name = TableName.valueOf(table);
            ConnectionUtil.checkMeta(connection, ConnectionUtil.getHoloVersion(connection), name.getFullName(), 120);
            TableSchema schema = ConnectionUtil.getTableSchema(connection, name);
            List<Record> records = new ArrayList<>();
            for (int number = 0; number < count; number++) {
                Record record = new Record(schema);
                filler.fill(record, number);
                records.add(record);
            }
            String sql = records.isEmpty()
                ? CopyUtil.buildCopyInSql(schema, isBinary, action, mode)
                : CopyUtil.buildCopyInSql(records.get(0), isBinary, action, mode);
            CopyInOutputStream stream = new CopyInOutputStream(new CopyManager(session).copyIn(sql));
            BaseConnection base = connection.unwrap(BaseConnection.class);
            try (RecordOutputStream output = isBinary
                ? new RecordBinaryOutputStream(stream, schema, base, 1 << 20)
                : new RecordTextOutputStream(stream, schema, base, 1 << 20)) {
                for (Record record : records) {
                    output.putRecord(record);
                }
            }
        }
    }

    private static HoloConfig config() {
        HoloConfig config = new HoloConfig();
        config.setJdbcUrl("jdbc:postgresql://" + environment("PGHOST") + ":" + environment("PGPORT") + "/" + environment("PGDATABASE"));
        config.setUsername(environment("PGUSER"));
        config.setPassword(environment("PGPASSWORD"));
        config.setSslMode(SSLMode.VERIFY_FULL);
        config.setSslRootCertLocation(environment("PGSSLROOTCERT"));
        config.setOnConflictAction(OnConflictAction.INSERT_OR_UPDATE);
        config.setDynamicPartition(false);
        config.setWriteThreadSize(2);
        config.setRetryCount(1);
        return config;
    }

    private static Connection connect() throws Exception {
        Properties properties = new Properties();
        properties.setProperty("user", environment("PGUSER"));
        properties.setProperty("password", environment("PGPASSWORD"));
        properties.setProperty("sslmode", "verify-full");
        properties.setProperty("sslrootcert", environment("PGSSLROOTCERT"));
        Class.forName("com.alibaba.hologres.org.postgresql.Driver");
        return DriverManager.getConnection(
            "jdbc:hologres://" + environment("PGHOST") + ":" + environment("PGPORT") + "/" + environment("PGDATABASE"), properties);
    }

    private static void execute(String script) throws Exception {
        try (Connection connection = connect(); Statement statement = connection.createStatement()) {
            for (String one : script.split("; ")) {
                statement.execute(one);
            }
        }
    }

    private static String query(String sql) throws Exception {
        try (Connection connection = connect();
            Statement statement = connection.createStatement();
            ResultSet rows = statement.executeQuery(sql)) {
            rows.next();
            return rows.getString(1);
        }
    }

    private static void expect(Object found, Object wanted) {
        if (!Objects.equals(found, wanted)) {
            throw new AssertionError("found " + found + ", wanted " + wanted);
        }
    }

    private interface Action {
        void run() throws Exception;
    }

    private static void expectRefusal(String text, Action action) throws Exception {
        try {
            action.run();
        } catch (Exception error) {
            if (messages(error).contains(text)) {
                return;
            }
            throw error;
        }
        throw new AssertionError("it was taken; wanted a refusal: " + text);
    }

    private static String messages(Throwable error) {
        StringBuilder text = new StringBuilder();
        for (Throwable one = error; one != null && text.length() < 600; one = one.getCause()) {
            text.append(one.getClass().getSimpleName()).append(": ").append(one.getMessage()).append(" ");
        }
        return text.toString().replaceAll("\\s+", " ");
    }

    private static String environment(String name) {
        return System.getenv(name);
    }
}
