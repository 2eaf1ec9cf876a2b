"""Plays the scenarios of package clients with psycopg2: configuration from the
environment, one JSON line per scenario on standard output."""

import base64
import datetime
import decimal
import io
import json
import os
import threading

import psycopg2
import psycopg2.extras

ENV = os.environ
REFUSED, SLOW = ENV["CLIENT_REFUSED_SQL"], ENV["CLIENT_SLOW_SQL"]


def connect():
    return psycopg2.connect(
        host=ENV["CLIENT_HOST"], port=ENV["CLIENT_PORT"], dbname=ENV["CLIENT_DATABASE"],
        user=ENV["CLIENT_USER"], password=ENV["CLIENT_PASSWORD"],
        sslmode="verify-full", sslrootcert=ENV["CLIENT_CA"], connect_timeout=30)


def text(value):
    return "NULL" if value is None else str(value)


def rows(cur):
    return [[text(v) for v in r] for r in cur.fetchall()] if cur.description else []


def query(conn, sql, args=None):
    with conn.cursor() as cur:
        cur.execute(sql, args)
        return rows(cur)


def server_error(e):
    d = e.diag
    return {"sqlstate": e.pgcode or "", "message": d.message_primary or str(e).strip(),
            "detail": d.message_detail or "", "hint": d.message_hint or ""}


def fails(conn, sql):
    try:
        query(conn, sql)
    except psycopg2.Error as e:
        return server_error(e)
    raise AssertionError("no error from: " + sql)


def select_one(conn):
    return query(conn, "SELECT 1")


def scenario_connect(conn):
    assert conn.info.ssl_in_use, "no TLS"
    return {"rows": select_one(conn)}


def scenario_select(conn):
    return {"rows": query(conn, "SELECT id, name, note FROM client_item ORDER BY id")}


def scenario_parameters(conn):
    moment = datetime.datetime(2026, 11, 22, 10, tzinfo=datetime.timezone.utc)
    number = decimal.Decimal("12345678901234567890.123456789")
    args = (42, "it's $1 β", number, moment, b"\x00\xffA",
            psycopg2.extras.Json({"a": [1, "β"]}, dumps=lambda v: json.dumps(v, ensure_ascii=False)),
            [1, 2, 3], ["a b", 'c"d', None], None)
    types = ("int4", "text", "numeric", "timestamptz", "bytea", "jsonb", "int4[]", "text[]", "text")
    with conn.cursor() as cur:
        cur.execute("SELECT " + ", ".join("%s::" + t for t in types), args)
        got = list(cur.fetchone())
    got[4] = bytes(got[4])
    want = list(args)
    want[5] = {"a": [1, "β"]}
    assert got == want, f"native values {got}, want {want}"
    return {"rows": query(conn, "SELECT " + ", ".join("%s::" + t + "::text" for t in types), args)}


def scenario_prepared(conn):
    query(conn, "PREPARE twice(int) AS SELECT $1 * 2")
    out = [query(conn, "EXECUTE twice(%s)", (i,))[0] for i in range(1, 11)]
    query(conn, "DEALLOCATE twice")
    return {"rows": out}


def scenario_pipeline(conn):
    return {"unsupported": "psycopg2 has no pipeline mode"}


def count(conn):
    return query(conn, "SELECT count(*) FROM client_scratch WHERE client = 'psycopg2'")[0]


def scenario_transaction(conn):
    insert = "INSERT INTO client_scratch VALUES ('psycopg2', %s, %s)"
    conn.autocommit = False
    query(conn, insert, (1, "a"))
    conn.rollback()
    before = count(conn)
    query(conn, insert, (1, "a"))
    conn.commit()
    after = count(conn)
    query(conn, "DELETE FROM client_scratch WHERE client = 'psycopg2'")
    conn.commit()
    return {"rows": [before, after]}


def scenario_error(conn):
    out = [[fails(conn, "SELECT 1/0")["sqlstate"]]]
    conn.autocommit = False
    select_one(conn)
    out.append([fails(conn, "SELECT 1/0")["sqlstate"]])
    out.append([fails(conn, "SELECT 1")["sqlstate"]])
    conn.rollback()
    return {"rows": out + select_one(conn)}


def scenario_cursor(conn):
    conn.autocommit = False
    with conn.cursor("piecewise") as cur:
        cur.itersize = 100
        cur.execute("SELECT id FROM client_big ORDER BY id LIMIT 1000")
        ids = [r[0] for r in cur]
    conn.commit()
    return {"rows": [[str(len(ids)), str(sum(ids))]]}


def scenario_copy_out(conn):
    out = io.StringIO()
    with conn.cursor() as cur:
        cur.copy_expert("COPY (SELECT id, name FROM client_item ORDER BY id) TO STDOUT", out)
    return {"rows": [[line] for line in out.getvalue().splitlines()]}


def scenario_copy_in(conn):
    lines = "".join(f"psycopg2\t{i}\tline {i}\n" for i in range(1000))
    with conn.cursor() as cur:
        cur.copy_expert("COPY client_scratch FROM STDIN", io.StringIO(lines))
    out = count(conn)
    query(conn, "DELETE FROM client_scratch WHERE client = 'psycopg2'")
    return {"rows": [out]}


def scenario_large(conn):
    with conn.cursor() as cur:
        cur.execute("SELECT id, filler FROM client_big")
        ids = [r[0] for r in cur]
    return {"rows": [[str(len(ids)), str(sum(ids))]]}


def scenario_cancel(conn):
    timer = threading.Timer(0.5, conn.cancel)
    timer.start()
    error = fails(conn, SLOW)
    timer.join()
    return {"rows": [[error["sqlstate"]]] + select_one(conn), "error": error}


def scenario_metadata(conn):
    """As SQLAlchemy's reflection asks for the columns of a table."""
    oid = query(conn, "SELECT c.oid FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                " WHERE pg_catalog.pg_table_is_visible(c.oid) AND c.relname = 'client_item'"
                " AND c.relkind in ('r', 'v', 'm', 'f', 'p')")[0][0]
    return {"rows": [r[:1] for r in query(conn, """
        SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
          (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attrdef d
           WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef) AS "default",
          a.attnotnull, a.attrelid AS table_oid, pgd.description AS comment, a.attgenerated AS generated
        FROM pg_catalog.pg_attribute a
        LEFT JOIN pg_catalog.pg_description pgd ON (pgd.objoid = a.attrelid AND pgd.objsubid = a.attnum)
        WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum""", (int(oid),))]}


def scenario_notice(conn):
    query(conn, "COMMIT")
    return {"rows": [[n.split(":", 1)[1].strip()] for n in conn.notices]}


def scenario_multi(conn):
    # psycopg2 shows only the last result; the first one proves itself by an error.
    first = fails(conn, "SELECT 1/0; SELECT 2")
    assert first["sqlstate"] == "22012", first
    return {"rows": [["1"]] + query(conn, "SELECT 1; SELECT 2")}


def scenario_application_name(conn):
    query(conn, "SET application_name = 'client check'")
    return {"rows": query(conn, "SHOW application_name")}


def scenario_refused(conn):
    error = fails(conn, REFUSED)
    assert error["sqlstate"] == "42501", error
    return {"rows": select_one(conn), "error": error}


def scenario_statements(conn):
    steps = []
    for encoded in filter(None, ENV["CLIENT_STATEMENTS"].split(",")):
        try:
            steps.append({"rows": query(conn, base64.b64decode(encoded).decode())})
        except psycopg2.Error as e:
            steps.append({"error": server_error(e)})
    return {"steps": steps}


def play(name):
    conn = None
    try:
        conn = connect()
        conn.autocommit = True
        out = globals()["scenario_" + name](conn)
        out["notices"] = [n.strip().splitlines()[0] for n in conn.notices]
    except psycopg2.Error as e:
        out = {"error": server_error(e), "failure": str(e).strip() or repr(e)}
    except Exception as e:  # whatever it is, it belongs into the result
        out = {"failure": repr(e)}
    finally:
        if conn is not None:
            conn.close()
    out["scenario"] = name
    print(json.dumps(out), flush=True)


for scenario in ENV["CLIENT_SCENARIOS"].split(","):
    play(scenario)
