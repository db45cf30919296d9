package sqlsource

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
	"socialhub-sync/sources/sourcetest"
)

func replyTo(id string) *sources.Reply {
	return &sources.Reply{Text: "Thank you :key", Action: sources.Action{
		Key: "key-1", Type: socialhub.ActionReply, ID: "reply", NetworkItemID: id, Time: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC),
	}}
}

// acting opens a source whose table note takes what is stored.
func acting(t *testing.T, e testEngine, address, actions string) *source {
	t.Helper()
	runSQL(t, address, "CREATE TABLE note (k "+e.text+", v "+e.text+" UNIQUE)")
	return config{database: address, query: "SELECT k AS id, v AS message FROM note", more: "actions:\n" + actions}.open(t).(*source)
}

func notes(t *testing.T, address string) (found []string) {
	t.Helper()
	db := openSQL(t, address)
	defer db.Close()
	rows, err := db.Query("SELECT coalesce(v, 'NULL') FROM note ORDER BY k")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			t.Fatal(err)
		}
		found = append(found, v)
	}
	return found
}

func TestEveryParameterIsHandedOver(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e testEngine, address string) {
		names := []string{"key", "action", "time", "id", "item", "ref", "ref.name", "ref.no", "root_id", "root", "root_ref", "root_ref.x", "text", "option"}
		actions := "  reply: |\n"
		for n, name := range names {
			actions += "    INSERT INTO note VALUES ('" + string(rune('a'+n)) + "', :" + name + ");\n"
		}
		src := acting(t, e, address, actions)
		r := replyTo("test-17")
		r.Ref, r.RootID, r.Option = json.RawMessage(`{"name":"A'","no":12345678901234567890}`), "test-1234", "public"
		if _, err := src.Reply(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		want := []string{
			"key-1", "reply", "2026-01-31 12:00:00.000", "17", "test-17", `{"name":"A'","no":12345678901234567890}`, "A'", "12345678901234567890",
			"1234", "test-1234", "NULL", "NULL", "Thank you :key", "public",
		}
		if diff := cmp.Diff(want, notes(t, address)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAnActionIsDoneAsAWholeOrNotAtAll(t *testing.T) {
	const first = "  reply: |\n    INSERT INTO note VALUES ('a', :key);\n    "
	for name, c := range map[string]struct {
		actions string
		wrong   func(error) bool
	}{
		"a statement touches no row":       {first + "UPDATE note SET v = 'x' WHERE k = 'none'", isError[*sources.RefusedError]},
		"a constraint is broken":           {first + "INSERT INTO note VALUES ('b', :key)", isError[*sources.RefusedError]},
		"a table is missing":               {first + "INSERT INTO other VALUES ('b', :key)", isError[*sources.NotDoneError]},
		"a row of the item is not known":   {first + "INSERT INTO note VALUES ('b', :ref.x)", isError[*sources.RefusedError]},
		"the reply is not found by posted": {first + "\n  posted: SELECT k AS id FROM note WHERE v = :key AND k = 'none'", isError[*sources.StopError]},
		"posted has a column too many":     {first + "\n  posted: SELECT k AS id, v FROM note WHERE v = :key", isError[*sources.StopError]},
	} {
		t.Run(name, func(t *testing.T) {
			onEachEngine(t, func(t *testing.T, e testEngine, address string) {
				src := acting(t, e, address, c.actions)
				_, err := src.Reply(t.Context(), replyTo("test-17"))
				if !c.wrong(err) || !sources.NotDone(err) || strings.Contains(err.Error(), "key-1") {
					t.Errorf("got %T %v", err, err)
				}
				if got := notes(t, address); len(got) > 0 {
					t.Errorf("there is %q", got)
				}
			})
		})
	}
}

func TestAReplyThatIsThereAndCantBeReadIsNotToldAsUndone(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e testEngine, address string) {
		src := acting(t, e, address, "  reply: INSERT INTO note VALUES (:key, :text)\n"+
			"  posted: SELECT k AS id, 'some day' AS "+e.named("createdTime")+" FROM note WHERE k = :key\n")
		_, err := src.Reply(t.Context(), replyTo("test-17"))
		if got := notes(t, address); stopped(t, err).Key != "actions.posted" || len(got) > 0 {
			t.Errorf("the first try: %v; there is %q", err, got)
		}
		runSQL(t, address, "INSERT INTO note VALUES ('key-1', 'of a try before')")
		_, err = src.Reply(t.Context(), replyTo("test-17"))
		if got := notes(t, address); sources.NotDone(err) || named(t, err).Key != "actions.posted" || len(got) != 1 {
			t.Errorf("a later try: %v; there is %q", err, got)
		}
	})
}

func isError[E error](err error) bool { _, ok := errors.AsType[E](err); return ok }

func TestWithoutPostedAReplyIsNotRepeated(t *testing.T) {
	t.Parallel()
	e := testEngines[2]
	const insert = "  reply: INSERT INTO note VALUES (:key, :text)\n  buttons: {hide: DELETE FROM note}\n"
	for actions, want := range map[string]string{
		insert: "0s 0s 0s",
		insert + "  posted: SELECT k AS id FROM note WHERE k = :key\n  delete: DELETE FROM note WHERE k = :id": "always 0s always",
		insert + "  delete: UPDATE note SET v = NULL WHERE k = :id":                                            "0s 0s always",
		insert + "  delete: DELETE FROM note WHERE k = :id; UPDATE note SET v = v - 1":                         "0s 0s 0s",
		insert + "  delete: INSERT INTO note VALUES (:key, :id)":                                               "0s 0s 0s",
	} {
		src := acting(t, e, e.create(t), actions)
		var got []string
		for _, kind := range []socialhub.ActionType{socialhub.ActionReply, socialhub.ActionButton, socialhub.ActionDelete} {
			span := src.RepeatableFor(&sources.Action{Type: kind}).String()
			got = append(got, strings.Replace(span, sources.Always.String(), "always", 1))
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s: %s", actions, got)
		}
	}
}

func TestWrongActionsAreToldByKey(t *testing.T) {
	t.Parallel()
	for actions, want := range map[string]string{
		"{reply: DROP TABLE t}":                                           "actions.reply",
		"{reply: COMMIT}":                                                 "actions.reply",
		"{reply: 'DELETE FROM t; SELECT 1'}":                              "actions.reply",
		"{reply: 'DELETE FROM t -- :'}":                                   "",
		"{reply: 'DELETE FROM t WHERE :who'}":                             "actions.reply",
		"{delete: 'DELETE FROM t WHERE x = :text'}":                       "actions.delete",
		"{template_reply: \"DELETE FROM 't\"}":                            "actions.template_reply",
		"{buttons: {a b: DELETE FROM t}}":                                 "actions.buttons.a b",
		"{buttons: {a: ''}}":                                              "actions.buttons.a",
		"{posted: 'SELECT 1 AS id WHERE x = :key'}":                       "actions.posted",
		"{reply: DELETE FROM t, posted: 'DELETE FROM t WHERE x = :key'}":  "actions.posted",
		"{reply: DELETE FROM t, posted: SELECT 1 AS id}":                  "actions.posted",
		"{reply: DELETE FROM t, posted: 'SELECT 1 AS id WHERE x = :key'}": "",
	} {
		err := config{database: "sqlite:f", query: "SELECT 1 AS id", more: "actions: " + actions}.settings(t).Validate()
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", actions, err)
			}
		} else if err == nil || named(t, err).Key != want {
			t.Errorf("%s: %v", actions, err)
		}
	}
}

func TestALostAnswerAtTheEndLeavesItOpen(t *testing.T) {
	t.Parallel()
	for _, e := range testEngines[:2] { // there is no network to a file
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(e)(t).(*world)
			w.Put(sourcetest.Item{ID: 1234, Text: "hello", Created: time.Now().UTC(), Updated: time.Now().UTC()})
			s := New().Settings()
			if err := yaml.UnmarshalWithOptions([]byte(w.Settings()), s, yaml.Strict()); err != nil {
				t.Fatal(err)
			}
			src := openSettings(t, s.(*Settings)).(sources.Replier)
			w.Break(sourcetest.Lost)
			_, err := src.Reply(t.Context(), replyTo("test-1234"))
			w.Break(sourcetest.Fine)
			if err == nil || sources.NotDone(err) || len(w.Done()) != 1 {
				t.Fatalf("got %v; done: %v", err, w.Done())
			}
			if posted, err := src.Reply(t.Context(), replyTo("test-1234")); err != nil || posted.NetworkItemID != "test-1000000" || len(w.Done()) != 1 {
				t.Errorf("got %+v, %v; done: %v", posted, err, w.Done())
			}
		})
	}
}
