import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.*;
import java.time.OffsetDateTime;
import java.util.*;
import java.util.concurrent.*;
import org.postgresql.PGConnection;
import org.postgresql.util.PGobject;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/**
 * Plays the scenarios of package clients with the PostgreSQL JDBC driver:
 * configuration from the environment, one JSON line per scenario on standard
 * output.
 */
public final class Client {
    private static final Map<String, String> ENV = System.getenv();

    /** What a scenario found, as it stands in the JSON line. */
    private static final class Outcome extends LinkedHashMap<String, Object> {
        Outcome with(String key, Object value) {
            put(key, value);
            return this;
        }
    }

    private interface Scenario {
        Outcome play(Connection c) throws Exception;
    }

    private static final Map<String, Scenario> SCENARIOS = new LinkedHashMap<>();

    static {
        SCENARIOS.put("connect", c -> rows(selectOne(c)));
        SCENARIOS.put("select", c -> rows(query(c, "SELECT id, name, note FROM client_item ORDER BY id")));
        SCENARIOS.put("parameters", Client::parameters);
        SCENARIOS.put("prepared", Client::prepared);
        SCENARIOS.put("pipeline", Client::pipeline);
        SCENARIOS.put("transaction", Client::transaction);
        SCENARIOS.put("error", Client::error);
        SCENARIOS.put("cursor", Client::cursor);
        SCENARIOS.put("copy_out", Client::copyOut);
        SCENARIOS.put("copy_in", Client::copyIn);
        SCENARIOS.put("large", c -> rows(totals(c, "SELECT id, filler FROM client_big", 0)));
        SCENARIOS.put("cancel", Client::cancel);
        SCENARIOS.put("metadata", Client::metadata);
        SCENARIOS.put("notice", Client::notice);
        SCENARIOS.put("multi", Client::multi);
        SCENARIOS.put("application_name", c -> {
            update(c, "SET application_name = 'client check'");
            return rows(query(c, "SHOW application_name"));
        });
        SCENARIOS.put("refused", Client::refused);
        SCENARIOS.put("statements", Client::statements);
    }

    public static void main(String[] args) {
        for (String name : ENV.get("CLIENT_SCENARIOS").split(",")) {
            Outcome out;
            try (Connection c = connect()) {
                out = SCENARIOS.get(name).play(c);
            } catch (SQLException e) {
                out = new Outcome().with("failure", e.toString());
                if (e.getSQLState() != null) {
                    out.with("error", serverError(e));
                }
            } catch (Exception e) {
                out = new Outcome().with("failure", e.toString());
            }
            System.out.println(json(out.with("scenario", name)));
        }
    }

    private static Connection connect() throws SQLException {
        Properties p = new Properties();
        p.setProperty("user", ENV.get("CLIENT_USER"));
        p.setProperty("password", ENV.get("CLIENT_PASSWORD"));
        p.setProperty("sslmode", "verify-full");
        p.setProperty("sslrootcert", ENV.get("CLIENT_CA"));
        p.setProperty("connectTimeout", "30");
        return DriverManager.getConnection(
            "jdbc:postgresql://" + ENV.get("CLIENT_HOST") + ":" + ENV.get("CLIENT_PORT") + "/" + ENV.get("CLIENT_DATABASE"), p);
    }

    private static final String[] TYPES = {
        "int4", "text", "numeric", "timestamptz", "bytea", "jsonb", "int4[]", "text[]", "text"};

    private static Outcome parameters(Connection c) throws Exception {
        try (PreparedStatement s = c.prepareStatement("SELECT ?::" + String.join(", ?::", TYPES))) {
            bind(c, s);
            try (ResultSet r = s.executeQuery()) {
                r.next();
                expect(r.getInt(1), 42);
                expect(r.getString(2), "it's $1 β");
                expect(r.getBigDecimal(3), new BigDecimal("12345678901234567890.123456789"));
                expect(r.getObject(4, OffsetDateTime.class).toInstant(), OffsetDateTime.parse("2026-11-22T10:00:00Z").toInstant());
                expect(Arrays.toString(r.getBytes(5)), Arrays.toString(new byte[] {0, (byte) 255, 65}));
                expect(Arrays.toString((Object[]) r.getArray(7).getArray()), "[1, 2, 3]");
                expect(Arrays.toString((Object[]) r.getArray(8).getArray()), "[a b, c\"d, null]");
                expect(r.getObject(9), null);
            }
        }
        try (PreparedStatement s = c.prepareStatement("SELECT ?::" + String.join("::text, ?::", TYPES) + "::text")) {
            bind(c, s);
            try (ResultSet r = s.executeQuery()) {
                return rows(read(r));
            }
        }
    }

    private static void bind(Connection c, PreparedStatement s) throws SQLException {
        PGobject doc = new PGobject();
        doc.setType("jsonb");
        doc.setValue("{\"a\": [1, \"β\"]}");
        s.setInt(1, 42);
        s.setString(2, "it's $1 β");
        s.setBigDecimal(3, new BigDecimal("12345678901234567890.123456789"));
        s.setObject(4, OffsetDateTime.parse("2026-11-22T10:00:00Z"));
        s.setBytes(5, new byte[] {0, (byte) 255, 65});
        s.setObject(6, doc);
        s.setArray(7, c.createArrayOf("int4", new Object[] {1, 2, 3}));
        s.setArray(8, c.createArrayOf("text", new Object[] {"a b", "c\"d", null}));
        s.setNull(9, Types.VARCHAR);
    }

    /** From its fifth use on the driver prepares the statement at the server. */
    private static Outcome prepared(Connection c) throws SQLException {
        List<List<String>> all = new ArrayList<>();
        try (PreparedStatement s = c.prepareStatement("SELECT ?::int * 2")) {
            for (int i = 1; i <= 10; i++) {
                s.setInt(1, i);
                try (ResultSet r = s.executeQuery()) {
                    all.addAll(read(r));
                }
            }
        }
        return rows(all);
    }

    private static Outcome pipeline(Connection c) throws SQLException {
        c.setAutoCommit(false);
        try (PreparedStatement s = c.prepareStatement("INSERT INTO client_scratch VALUES ('jdbc', ?, ?)")) {
            for (int i = 1; i <= 3; i++) {
                s.setInt(1, i);
                s.setString(2, "batch");
                s.addBatch();
            }
            expect(s.executeBatch().length, 3);
        }
        Outcome out = rows(query(c, "SELECT n FROM client_scratch WHERE client = 'jdbc' ORDER BY n"));
        c.rollback();
        return out;
    }

    private static Outcome transaction(Connection c) throws SQLException {
        String insert = "INSERT INTO client_scratch VALUES ('jdbc', 1, 'a')";
        c.setAutoCommit(false);
        update(c, insert);
        c.rollback();
        List<List<String>> all = new ArrayList<>(count(c));
        update(c, insert);
        c.commit();
        all.addAll(count(c));
        update(c, "DELETE FROM client_scratch WHERE client = 'jdbc'");
        c.commit();
        return rows(all);
    }

    private static Outcome error(Connection c) throws Exception {
        List<List<String>> all = new ArrayList<>();
        all.add(List.of(fails(c, "SELECT 1/0").getSQLState()));
        c.setAutoCommit(false);
        selectOne(c);
        all.add(List.of(fails(c, "SELECT 1/0").getSQLState()));
        all.add(List.of(fails(c, "SELECT 1").getSQLState()));
        c.rollback();
        all.addAll(selectOne(c));
        return rows(all);
    }

    /** A fetch size makes the driver execute the portal piece by piece. */
    private static Outcome cursor(Connection c) throws SQLException {
        c.setAutoCommit(false);
        Outcome out = rows(totals(c, "SELECT id FROM client_big ORDER BY id LIMIT 1000", 100));
        c.commit();
        return out;
    }

    private static Outcome copyOut(Connection c) throws Exception {
        StringWriter w = new StringWriter();
        c.unwrap(PGConnection.class).getCopyAPI().copyOut("COPY (SELECT id, name FROM client_item ORDER BY id) TO STDOUT", w);
        List<List<String>> all = new ArrayList<>();
        w.toString().lines().forEach(line -> all.add(List.of(line)));
        return rows(all);
    }

    private static Outcome copyIn(Connection c) throws Exception {
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 1000; i++) {
            lines.append("jdbc\t").append(i).append("\tline ").append(i).append('\n');
        }
        c.unwrap(PGConnection.class).getCopyAPI().copyIn("COPY client_scratch FROM STDIN", new StringReader(lines.toString()));
        Outcome out = rows(count(c));
        update(c, "DELETE FROM client_scratch WHERE client = 'jdbc'");
        return out;
    }

    private static Outcome cancel(Connection c) throws Exception {
        ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
        try (Statement s = c.createStatement()) {
            timer.schedule(() -> {
                s.cancel();
                return null;
            }, 500, TimeUnit.MILLISECONDS);
            s.execute(ENV.get("CLIENT_SLOW_SQL"));
            throw new AssertionError("the slow query ended");
        } catch (SQLException e) {
            List<List<String>> all = new ArrayList<>();
            all.add(List.of(e.getSQLState()));
            all.addAll(selectOne(c));
            return rows(all).with("error", serverError(e));
        } finally {
            timer.shutdownNow();
        }
    }

    private static Outcome metadata(Connection c) throws SQLException {
        DatabaseMetaData m = c.getMetaData();
        boolean found = false;
        try (ResultSet r = m.getTables(null, "public", "client_%", new String[] {"TABLE"})) {
            while (r.next()) {
                found |= r.getString("TABLE_NAME").equals("client_item");
            }
        }
        expect(found, true);
        try (ResultSet r = m.getPrimaryKeys(null, "public", "client_item")) {
            expect(r.next() ? r.getString("COLUMN_NAME") : "none", "id");
        }
        List<List<String>> all = new ArrayList<>();
        try (ResultSet r = m.getColumns(null, "public", "client_item", null)) {
            while (r.next()) {
                all.add(List.of(r.getString("COLUMN_NAME")));
            }
        }
        return rows(all);
    }

    private static Outcome notice(Connection c) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.execute("COMMIT");
            List<List<String>> all = new ArrayList<>();
            for (SQLWarning w = s.getWarnings(); w != null; w = w.getNextWarning()) {
                all.add(List.of(w.getMessage()));
            }
            return rows(all);
        }
    }

    private static Outcome multi(Connection c) throws SQLException {
        List<List<String>> all = new ArrayList<>();
        try (Statement s = c.createStatement()) {
            for (boolean more = s.execute("SELECT 1; SELECT 2"); more; more = s.getMoreResults()) {
                try (ResultSet r = s.getResultSet()) {
                    all.addAll(read(r));
                }
            }
        }
        return rows(all);
    }

    private static Outcome refused(Connection c) throws Exception {
        SQLException e = fails(c, ENV.get("CLIENT_REFUSED_SQL"));
        expect(e.getSQLState(), "42501");
        return rows(selectOne(c)).with("error", serverError(e));
    }

    private static Outcome statements(Connection c) throws SQLException {
        List<Outcome> steps = new ArrayList<>();
        for (String encoded : ENV.get("CLIENT_STATEMENTS").split(",")) {
            if (encoded.isEmpty()) {
                continue;
            }
            String sql = new String(Base64.getDecoder().decode(encoded), StandardCharsets.UTF_8);
            try (Statement s = c.createStatement()) {
                List<List<String>> last = List.of();
                boolean isRows = s.execute(sql);
                while (isRows || s.getUpdateCount() != -1) {
                    last = List.of();
                    if (isRows) {
                        try (ResultSet r = s.getResultSet()) {
                            last = read(r);
                        }
                    }
                    isRows = s.getMoreResults();
                }
                steps.add(rows(last));
            } catch (SQLException e) {
                if (!(e instanceof PSQLException) || ((PSQLException) e).getServerErrorMessage() == null) {
                    throw e;
                }
                steps.add(new Outcome().with("error", serverError(e)));
            }
        }
        return new Outcome().with("steps", steps);
    }

    private static List<List<String>> selectOne(Connection c) throws SQLException {
        return query(c, "SELECT 1");
    }

    private static List<List<String>> count(Connection c) throws SQLException {
        return query(c, "SELECT count(*) FROM client_scratch WHERE client = 'jdbc'");
    }

    private static List<List<String>> totals(Connection c, String sql, int fetchSize) throws SQLException {
        long n = 0;
        long sum = 0;
        try (Statement s = c.createStatement()) {
            s.setFetchSize(fetchSize);
            try (ResultSet r = s.executeQuery(sql)) {
                while (r.next()) {
                    n++;
                    sum += r.getLong(1);
                }
            }
        }
        return List.of(List.of(Long.toString(n), Long.toString(sum)));
    }

    private static List<List<String>> query(Connection c, String sql) throws SQLException {
        try (Statement s = c.createStatement(); ResultSet r = s.executeQuery(sql)) {
            return read(r);
        }
    }

    private static void update(Connection c, String sql) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.execute(sql);
        }
    }

    private static SQLException fails(Connection c, String sql) throws Exception {
        try {
            update(c, sql);
        } catch (SQLException e) {
            return e;
        }
        throw new AssertionError("no error from: " + sql);
    }

    private static List<List<String>> read(ResultSet r) throws SQLException {
        List<List<String>> all = new ArrayList<>();
        int columns = r.getMetaData().getColumnCount();
        while (r.next()) {
            List<String> row = new ArrayList<>();
            for (int i = 1; i <= columns; i++) {
                String v = r.getString(i);
                row.add(v == null ? "NULL" : v);
            }
            all.add(row);
        }
        return all;
    }

    private static Outcome rows(List<List<String>> rows) {
        return new Outcome().with("rows", rows);
    }

    private static Outcome serverError(SQLException e) {
        Outcome out = new Outcome().with("sqlstate", Objects.toString(e.getSQLState(), ""));
        ServerErrorMessage m = e instanceof PSQLException ? ((PSQLException) e).getServerErrorMessage() : null;
        if (m == null) {
            return out.with("message", e.getMessage());
        }
        return out.with("message", Objects.toString(m.getMessage(), ""))
            .with("detail", Objects.toString(m.getDetail(), ""))
            .with("hint", Objects.toString(m.getHint(), ""));
    }

    private static void expect(Object got, Object want) {
        if (!Objects.equals(got, want)) {
            throw new IllegalStateException("got " + got + ", want " + want);
        }
    }

    private static String json(Object value) {
        if (value instanceof Map) {
            StringJoiner j = new StringJoiner(",", "{", "}");
            ((Map<?, ?>) value).forEach((k, v) -> j.add(json(k) + ":" + json(v)));
            return j.toString();
        }
        if (value instanceof List) {
            StringJoiner j = new StringJoiner(",", "[", "]");
            ((List<?>) value).forEach(v -> j.add(json(v)));
            return j.toString();
        }
        StringBuilder b = new StringBuilder("\"");
        for (char ch : String.valueOf(value).toCharArray()) {
            if (ch == '"' || ch == '\\') {
                b.append('\\').append(ch);
            } else if (ch < ' ' || ch > '~') {
                b.append(String.format("\\u%04x", (int) ch));
            } else {
                b.append(ch);
            }
        }
        return b.append('"').toString();
    }
}
