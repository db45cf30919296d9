package sourcetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/sources"
)

func TestACursorFromTheFutureMustNotHideWhatComes(t *testing.T) {
	t.Parallel()
	reports := runCheck(t, suiteOf(t, "is blinded by the future"), "takes cursors that it did not make")
	if !slices.ContainsFunc(reports, func(r string) bool { return strings.HasPrefix(r, "with a cursor from the future, 1 of") }) {
		t.Errorf("reports %q", reports)
	}
}

func TestCursorsAreAlteredWhereTheyHaveVersionsAndTimes(t *testing.T) {
	t.Parallel()
	cursor := `{"v":1,"feeds":[{"at":"2026-01-31T12:00:00Z","ms":1769860800000,"id":17}]}`
	want := []string{
		`{"feeds":[{"at":"2026-01-31T12:00:00Z","id":17,"ms":1769860800000}],"v":0}`,
		`{"feeds":[{"at":"2026-01-31T12:00:00Z","id":17,"ms":1769860800000}],"v":999}`,
		`{"feeds":[{"at":"2036-01-31T12:00:00Z","id":17,"ms":2085220800000}],"v":1}`,
	}
	if diff := cmp.Diff(want, append(altered(cursor), shifted(cursor)...)); diff != "" {
		t.Error(diff)
	}
	for _, other := range []string{"", "17", "s-17", `{"etag":"x"}`} {
		if found := append(altered(other), shifted(other)...); len(found) > 0 {
			t.Errorf("%q becomes %q", other, found)
		}
	}
}

// safe are settings with secrets in all places.
type safe struct {
	Address sources.Secret
	Open    string
	Deep    struct{ Key sources.Secret }
	List    []sources.Secret
	Map     map[string]*sources.Secret
	None    *sources.Secret
	private sources.Secret
}

func TestSecretsAreFoundWhereverTheyStand(t *testing.T) {
	t.Parallel()
	s := &safe{Open: "open", private: sources.NewSecret("unreachable")}
	s.Address = sources.NewSecret("https://jo:passw0rd@example.com/feed?key=k3y-k3y&n=1")
	s.Deep.Key = sources.NewSecret("deep")
	s.List = []sources.Secret{sources.NewSecret("in a list"), sources.NewSecret("x"), sources.NewSecret("https://example.com")}
	inMap := sources.NewSecret("in a map")
	s.Map = map[string]*sources.Secret{"a": &inMap}
	want := []string{"https://jo:passw0rd@example.com/feed?key=k3y-k3y&n=1", "passw0rd", "k3y-k3y", "deep", "in a list", "in a map"}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(secretsIn(s)))); diff != "" {
		t.Error(diff)
	}
}

func TestItemsLieFurtherApartThanAnAdapterLooksBack(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		edits, late time.Duration
		want        string
	}{
		{0, 0, "1s"}, {Always, Always, "1s"}, {Always, 10 * time.Minute, "24s"}, {7 * 24 * time.Hour, time.Minute, "6h43m12s"},
	} {
		s := Suite{Edits: c.edits, Late: c.late}
		if got := fmt.Sprint(s.step(100)); got != c.want {
			t.Errorf("edits %s, late %s: a step of %s; want %s", c.edits, c.late, got, c.want)
		}
	}
}

func TestAnExceptionMustNameACheck(t *testing.T) {
	t.Parallel()
	suite := Suite{Except: map[string]string{"finds edits": "no", "no such check": "typing error"}}
	if got := suite.unknownExceptions(); !slices.Equal(got, []string{"no such check"}) {
		t.Errorf("got %q", got)
	}
}
