package postgres

// Facts is what a policy may ask of a statement, as sql.NAME. Lists are sorted
// and have no duplicates. A Facts value is immutable; equal pointers mean equal
// facts.
type Facts struct {
	// Verb is the kind of the first statement: "select", "insert", "set", …;
	// empty for a text without a statement.
	Verb string `cel:"verb"`
	// Statements are the kinds of all statements in the text, those inside
	// WITH, EXPLAIN, COPY, PREPARE and DECLARE included.
	Statements []string `cel:"statements"`
	// Schemas are the schemas of Tables.
	Schemas []string `cel:"schemas"`
	// Tables are the relations read or changed, as schema.name, those behind
	// views included.
	Tables []string `cel:"tables"`
	// Written are the relations that rows are inserted into, changed in or
	// deleted from, as schema.name; sequences that nextval or setval is given
	// ("?.?" is one that a constant does not name), and pg_catalog.pg_largeobject
	// for large objects.
	Written []string `cel:"written"`
	// Columns are the columns named, also to be joined by or to get a value, as
	// schema.table.column, whatever an alias calls them; schema.table.* stands for
	// all.
	Columns []string `cel:"columns"`
	// Functions are the functions called, as schema.name.
	Functions []string `cel:"functions"`
	// Settings are the run-time parameters set, reset or shown.
	Settings []string `cel:"settings"`
	// Unreviewed are the objects that nobody reviewed and that the statement
	// can run: functions, triggers, operators, casts, types, relations that the
	// catalog does not know.
	Unreviewed []string `cel:"unreviewed"`
	// Understood says that every node, name and option was understood, apart
	// from what Unreviewed lists. A statement that is not understood has the
	// effect unknown.
	Understood bool `cel:"understood"`
	// Unbounded says that a change of rows has no condition of a form that leaves
	// rows out, or that a TRUNCATE is in the text.
	Unbounded bool `cel:"unbounded"`
	// Temporary says that the text makes, changes or drops temporary objects and
	// changes no other definition. Their names in Tables and Written are
	// pg_temp.name.
	Temporary bool `cel:"temporary"`
}
