// Plays the scenarios of package clients with node-postgres: configuration from
// the environment, one JSON line per scenario on standard output.
import fs from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import copy from 'pg-copy-streams';
import Cursor from 'pg-cursor';

const env = process.env;
const settings = () => ({
  host: env.CLIENT_HOST, port: Number(env.CLIENT_PORT), database: env.CLIENT_DATABASE,
  user: env.CLIENT_USER, password: env.CLIENT_PASSWORD, connectionTimeoutMillis: 30000,
  ssl: { ca: fs.readFileSync(env.CLIENT_CA, 'utf8'), rejectUnauthorized: true },
});

const text = (v) => (v === null || v === undefined ? 'NULL' : String(v));
const toRows = (result) => result.rows.map((r) => r.map(text));
const query = async (c, sql, values) => toRows(await c.query({ text: sql, values, rowMode: 'array' }));
const serverError = (e) => ({ sqlstate: e.code ?? '', message: e.message, detail: e.detail ?? '', hint: e.hint ?? '' });
const isServerError = (e) => e instanceof pg.DatabaseError;
const equal = (got, want) => {
  if (JSON.stringify(got) !== JSON.stringify(want)) throw new Error(`got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
};

async function fails(c, sql) {
  try {
    await query(c, sql);
  } catch (e) {
    if (isServerError(e)) return serverError(e);
    throw e;
  }
  throw new Error(`no error from: ${sql}`);
}

const count = async (c) => (await query(c, "SELECT count(*) FROM client_scratch WHERE client = 'node'"))[0];
const selectOne = (c) => query(c, 'SELECT 1');
const totals = (ids) => [[String(ids.length), String(ids.reduce((a, b) => a + Number(b), 0))]];

const scenarios = {
  async connect(c) {
    if (!c.connection.stream.encrypted) throw new Error('no TLS');
    return { rows: await selectOne(c) };
  },
  async select(c) {
    return { rows: await query(c, 'SELECT id, name, note FROM client_item ORDER BY id') };
  },
  async parameters(c) {
    const types = ['int4', 'text', 'numeric', 'timestamptz', 'bytea', 'jsonb', 'int4[]', 'text[]', 'text'];
    const values = [42, "it's $1 β", '12345678901234567890.123456789', new Date('2026-11-22T10:00:00Z'),
      Buffer.from([0, 255, 65]), { a: [1, 'β'] }, [1, 2, 3], ['a b', 'c"d', null], null];
    const list = (suffix) => types.map((t, i) => `$${i + 1}::${t}${suffix}`).join(', ');
    const native = await c.query({ text: `SELECT ${list('')}`, values, rowMode: 'array' });
    equal(native.rows[0], values);
    return { rows: await query(c, `SELECT ${list('::text')}`, values) };
  },
  async prepared(c) {
    const rows = [];
    for (let i = 1; i <= 10; i++) {
      const r = await c.query({ name: 'twice', text: 'SELECT $1::int * 2', values: [i], rowMode: 'array' });
      rows.push(...toRows(r));
    }
    return { rows };
  },
  async pipeline(c) {
    // Queued without waiting; the client sends each when the one before is answered.
    const answers = await Promise.all([1, 2, 3].map((i) => query(c, 'SELECT $1::int', [i])));
    return { rows: answers.flat() };
  },
  async transaction(c) {
    const insert = "INSERT INTO client_scratch VALUES ('node', $1, $2)";
    await c.query('BEGIN');
    await c.query(insert, [1, 'a']);
    await c.query('ROLLBACK');
    const before = await count(c);
    await c.query('BEGIN');
    await c.query(insert, [1, 'a']);
    await c.query('COMMIT');
    const after = await count(c);
    await c.query("DELETE FROM client_scratch WHERE client = 'node'");
    return { rows: [before, after] };
  },
  async error(c) {
    const rows = [[(await fails(c, 'SELECT 1/0')).sqlstate]];
    await c.query('BEGIN');
    rows.push([(await fails(c, 'SELECT 1/0')).sqlstate]);
    rows.push([(await fails(c, 'SELECT 1')).sqlstate]);
    await c.query('ROLLBACK');
    return { rows: [...rows, ...(await selectOne(c))] };
  },
  async cursor(c) {
    const cursor = c.query(new Cursor('SELECT id FROM client_big ORDER BY id LIMIT $1', [1000]));
    const ids = [];
    for (let part = await cursor.read(100); part.length > 0; part = await cursor.read(100)) ids.push(...part.map((r) => r.id));
    await cursor.close();
    return { rows: totals(ids) };
  },
  async copy_out(c) {
    const chunks = [];
    const stream = c.query(copy.to('COPY (SELECT id, name FROM client_item ORDER BY id) TO STDOUT'));
    for await (const chunk of stream) chunks.push(chunk);
    const lines = Buffer.concat(chunks).toString('utf8').split('\n').filter((l) => l !== '');
    return { rows: lines.map((l) => [l]) };
  },
  async copy_in(c) {
    const lines = Array.from({ length: 1000 }, (_, i) => `node\t${i}\tline ${i}\n`);
    await pipeline(Readable.from(lines), c.query(copy.from('COPY client_scratch FROM STDIN')));
    const rows = [await count(c)];
    await c.query("DELETE FROM client_scratch WHERE client = 'node'");
    return { rows };
  },
  async large(c) {
    const r = await c.query({ text: 'SELECT id, filler FROM client_big', rowMode: 'array' });
    return { rows: totals(r.rows.map((row) => row[0])) };
  },
  async cancel(c) {
    // node-postgres has cancel as a request of its own, on a second connection.
    const running = fails(c, env.CLIENT_SLOW_SQL);
    await new Promise((done) => { setTimeout(done, 500); });
    await cancelRequest(c);
    const error = await running;
    return { rows: [[error.sqlstate], ...(await selectOne(c))], error };
  },
  async metadata(c) {
    return {
      rows: (await query(c, `SELECT column_name, data_type, is_nullable FROM information_schema.columns
        WHERE table_schema = $1 AND table_name = $2 ORDER BY ordinal_position`, ['public', 'client_item'])).map((r) => [r[0]]),
    };
  },
  async notice(c) {
    const got = [];
    c.on('notice', (n) => got.push([n.message]));
    await c.query('COMMIT');
    return { rows: got };
  },
  async multi(c) {
    const results = await c.query({ text: 'SELECT 1; SELECT 2', rowMode: 'array' });
    return { rows: results.flatMap(toRows) };
  },
  async application_name(c) {
    await c.query("SET application_name = 'client check'");
    return { rows: await query(c, 'SHOW application_name') };
  },
  async refused(c) {
    const error = await fails(c, env.CLIENT_REFUSED_SQL);
    equal(error.sqlstate, '42501');
    return { rows: await selectOne(c), error };
  },
  async statements(c) {
    const steps = [];
    for (const encoded of env.CLIENT_STATEMENTS.split(',').filter((s) => s !== '')) {
      try {
        const r = await c.query({ text: Buffer.from(encoded, 'base64').toString('utf8'), rowMode: 'array' });
        steps.push({ rows: toRows(Array.isArray(r) ? r[r.length - 1] : r) });
      } catch (e) {
        if (!isServerError(e)) throw e;
        steps.push({ error: serverError(e) });
      }
    }
    return { steps };
  },
};

// cancelRequest sends CancelRequest as Client.cancel does, and waits until the
// server closes that connection.
function cancelRequest(target) {
  return new Promise((done, failed) => {
    const connection = new pg.Connection({ ssl: settings().ssl });
    connection.on('sslconnect', () => connection.cancel(target.processID, target.secretKey));
    connection.on('connect', () => connection.requestSsl());
    connection.on('end', done);
    connection.on('error', failed);
    connection.connect(Number(env.CLIENT_PORT), env.CLIENT_HOST);
  });
}

async function play(name) {
  const c = new pg.Client(settings());
  const notices = [];
  c.on('notice', (n) => notices.push(`${n.severity}: ${n.message}`));
  let lost = null;
  c.on('error', (e) => { lost = e; });
  let out;
  try {
    await c.connect();
    out = { ...(await scenarios[name](c)), notices };
  } catch (e) {
    out = { failure: String(e.stack ?? e) };
    if (isServerError(e)) out.error = serverError(e);
    if (lost) out.failure += ` (connection: ${lost})`;
  }
  await c.end().catch(() => {});
  process.stdout.write(`${JSON.stringify({ ...out, scenario: name })}\n`);
}

for (const name of env.CLIENT_SCENARIOS.split(',')) await play(name);
