package engine

import (
	"strings"
	"testing"
)

func TestStatementsAreReadAsTheDatabaseReadsThem(t *testing.T) {
	t.Parallel()
	const (
		postgres = "postgres://u@h/d"
		mysql    = "mysql://u@h/d"
		sqlite   = "sqlite:f"
	)
	for name, c := range map[string]struct{ address, text, want string }{
		"parameters":                {postgres, "UPDATE t SET a = :text WHERE b=:id AND c = :ref.name;", "UPDATE t SET a = $1 WHERE b=$2 AND c = $3 <text id ref.name>"},
		"one twice":                 {sqlite, "SELECT :key, :key", "SELECT ?, ? <key key>"},
		"several":                   {mysql, "DELETE FROM a; ;\nDELETE FROM b WHERE x = ';' -- ;\n;", "DELETE FROM a | DELETE FROM b WHERE x = ';'"},
		"quotes":                    {postgres, `SELECT ':a''; :b' AS ":c" FROM t`, `SELECT ':a''; :b' AS ":c" FROM t`},
		"a backslash in MySQL":      {mysql, `UPDATE t SET a = 'it\'s :a', b = :text`, `UPDATE t SET a = 'it\'s :a', b = ? <text>`},
		"a backslash elsewhere":     {postgres, `UPDATE t SET a = '\', b = :text`, `UPDATE t SET a = '\', b = $1 <text>`},
		"an escaping text":          {postgres, `UPDATE t SET a = E'\':a', b = :text`, `UPDATE t SET a = E'\':a', b = $1 <text>`},
		"dollar quotes":             {postgres, "UPDATE t SET a = $x$ :a; $y$ $x$, b = $$:b$$, c = :text", "UPDATE t SET a = $x$ :a; $y$ $x$, b = $$:b$$, c = $1 <text>"},
		"casts":                     {postgres, "SELECT :time::timestamp, a::text", "SELECT $1::timestamp, a::text <time>"},
		"an assignment":             {mysql, "UPDATE t SET a = @x:=1", "UPDATE t SET a = @x:=1"},
		"a name in brackets":        {sqlite, "UPDATE [a:b;c] SET x = :text", "UPDATE [a:b;c] SET x = ? <text>"},
		"comments":                  {postgres, "-- :a;\nDELETE /* :b; /* :c */ ; */ FROM t", "DELETE   FROM t"},
		"comments of MySQL":         {mysql, "# :a;\nDELETE FROM t WHERE a = 1--:id", "DELETE FROM t WHERE a = 1--? <id>"},
		"a dot that ends a name":    {sqlite, "SELECT :key.", "SELECT ?. <key>"},
		"nothing":                   {sqlite, " ; -- nothing\n", ""},
		"a question mark":           {sqlite, "SELECT ?", "error: has a ? outside of quotes; name the parameters, such as :key"},
		"a question mark elsewhere": {postgres, "SELECT a ? 'b'", "SELECT a ? 'b'"},
		"a number":                  {postgres, "SELECT $1", "error: has $1 outside of quotes; name the parameters, such as :key"},
		"an open quote":             {mysql, "SELECT 'a", "error: has a ' that is not closed"},
		"an open comment":           {sqlite, "SELECT 1 /* a", "error: has a comment that is not closed"},
		"an open dollar quote":      {postgres, "SELECT $a$ b", "error: has no $a$ for its $a$"},
		"a zero byte":               {postgres, "SELECT '\x00'", "error: has a zero byte inside"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := Parse(c.address)
			if err != nil {
				t.Fatal(err)
			}
			e := &Engine{dialect: dialect{numbered: c.address == postgres}}
			var found []string
			statements, err := a.Statements(c.text)
			for _, s := range statements {
				text := strings.TrimSpace(e.SQL(s))
				if len(s.Names()) > 0 {
					text += " <" + strings.Join(s.Names(), " ") + ">"
				}
				found = append(found, text)
			}
			got := strings.Join(found, " | ")
			if err != nil {
				got = "error: " + err.Error()
			}
			if got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}
