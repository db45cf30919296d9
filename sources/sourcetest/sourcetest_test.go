package sourcetest

import (
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"socialhub-sync/socialhub"
)

func suiteOf(t *testing.T, fault string) Suite {
	leaked := make(chan struct{})
	t.Cleanup(func() { close(leaked) })
	return Suite{
		Adapter: clerk{fault, leaked}.adapter(), World: newOffice, Items: 501,
		Incremental: true, Edits: Always, Late: clerkLookBack, Deletes: true,
		Timeout: "timeout: 100ms", Wrong: []Wrong{{Line: "timeout: -1s"}},
		Actions: []Ability{
			{Type: socialhub.ActionReply}, {Type: socialhub.ActionTemplateReply, TemplateID: "thanks"},
			{Type: socialhub.ActionButton, ID: "hide"}, {Type: socialhub.ActionDelete},
		},
	}
}

func TestAnAdapterThatKeepsTheContractPasses(t *testing.T) {
	t.Parallel()
	Run(t, suiteOf(t, ""))
}

// faults says which check must find each fault, and what it says of it: texts parted by |.
var faults = map[string]struct{ check, report string }{
	"skips at a border":                      {"goes on after each batch", "stopped after each batch, 8 of 501 items are missing"},
	"skips at a border of a backfill":        {"goes on after each batch of a backfill", "stopped after each batch, 8 of 501 items are missing"},
	"takes the end of a pull for its cursor": {"loses nothing while items come and change", "are missing"},
	"takes trouble for the end":              {"loses nothing by trouble in the middle", "in the middle of a pull, 335 of 501 items are missing"},
	"keeps the cursor for another batch":     {"hands out everything", "are missing"},
	"repeats a batch for ever":               {"hands out everything", "yields batches without end"},
	"counts pages":                           {"loses nothing while items go", "after items went while others were read"},
	"does not see edits":                     {"finds edits", "are not seen as they are now"},
	"does not look back":                     {"finds what comes late", "are missing: 503, 504"},
	"does not tell what was removed":         {"tells what was removed", "is not handed out as deleted"},
	"reads everything each time":             {"does not hand out everything again", "hands out 501 of 501 items again"},
	"is blinded by the future":               {"is not blinded by an item from the future", "after an item from the future, 1 of"},
	"skips all by a strange cursor":          {"takes cursors that it did not make", "nothing is read and nothing said"},
	"panics by a strange cursor":             {"takes cursors that it did not make", "the pull panicked: what is this?"},
	"ignores the time of a backfill":         {"backfills what was asked for", "hands out item"},
	"does not stop":                          {"stops with its context", "does not stop with its context while the world does not answer"},
	"hides the cause":                        {"stops with its context", "with a context that is done: got the error interrupted | cancelled between batches: got the error interrupted | cancelled while the world does not answer: got the error interrupted"},
	"leaves a goroutine":                     {"closes after a pull that was ended early", "goroutines are left after Close"},
	"does not close":                         {"closes after a pull that was ended early", "close: busy"},
	"ends quietly in trouble":                {"says what to do in trouble", "unauthorized: no error"},
	"moves the cursor in trouble":            {"says what to do in trouble", "unauthorized: the cursor moves"},
	"goes on after an error":                 {"says what to do in trouble", "Pull went on after an error"},
	"shows a secret in an error":             {"says what to do in trouble", "a secret is in an error"},
	"shows what the server sent":             {"says what to do in trouble", "the error shows what the server sent"},
	"stops for any error":                    {"says what to do in trouble", "dropped: "},
	"stops for none":                         {"says what to do in trouble", "want a *sources.StopError"},
	"writes a long error":                    {"says what to do in trouble", "not one clear sentence"},
	"pages for ever":                         {"does not page for ever", "is asked more than 300 times"},
	"does not need its address":              {"asks for its settings", "without url, which is needed, the settings are fine"},
	"blames no setting":                      {"asks for its settings", "without url: no address: want a *sources.SettingError"},
	"blames another setting":                 {"asks for its settings", "want the error to be on the key url"},
	"takes a wrong setting":                  {"asks for its settings", "with timeout: -1s the settings are fine"},
	"shows a secret in a setting's error":    {"asks for its settings", "a secret is in the error of Validate"},
	"logs a secret":                          {"hands out everything", "a secret is in the log"},
	"logs content":                           {"hands out everything", "the log shows content"},
	"shows a secret in a cursor":             {"hands out everything", "a secret is in a cursor"},
	"shows a secret in a ref":                {"hands out everything", "a secret is in a Ref"},
	"has large batches":                      {"hands out everything", "a batch has 501 items"},
	"changes ids":                            {"finds edits", "the networkItemId of an item changes"},
	"gives one id to two items":              {"hands out everything", "two items have the networkItemId"},
	"gives wrong ids":                        {"hands out everything", "is not valid"},
	"has local times":                        {"hands out everything", "UpdatedTime is not in UTC"},
	"has wrong times":                        {"hands out everything", "CreatedTime is 2"},

	"can't reply":                          {"can do what it promises", "the source can't do reply reply"},
	"answers another item":                 {"does what the team did", "reply reply on item 1 is done 0 times; want once"},
	"shortens replies":                     {"does what the team did", "a reply is not posted as it was written"},
	"does more than it should":             {"does what the team did", "after 1 actions 2 things are done"},
	"logs what the team wrote":             {"does what the team did", "the log shows content"},
	"panics in an action":                  {"does what the team did", "an action panicked: what is this?"},
	"shows a secret in an address":         {"does what the team did", "a secret is in what a reply was posted as | the URL of a reply is no address"},
	"posts at a local time":                {"does what the team did", "CreatedTime of a reply is not in UTC"},
	"does not know its own reply":          {"reads its own reply as such", "but not as Own"},
	"does not say what it posted":          {"reads its own reply as such", "was posted without a NetworkItemID"},
	"names a reply otherwise":              {"reads its own reply as such", `was posted as "office-r`},
	"posts before its time":                {"reads its own reply as such", "the reply was posted at 2"},
	"hides its replies":                    {"reads its own reply as such", "a poll does not hand out the reply"},
	"forgets the key":                      {"does an action once however often it is repeated", "reply is done 2 times by two tries with one Key | by two tries of which the first one's answer was lost"},
	"gives something else the second time": {"does an action once however often it is repeated", "a repeated reply gives"},
	"may repeat for less than nothing":     {"does an action once however often it is repeated", "may be repeated for -1ns"},
	"takes equal replies for one":          {"tells two actions apart", "two equal replies with Keys of their own are posted 1 times | two replies have the NetworkItemID"},
	"does not find its reply":              {"finds a reply whose answer was lost", "a reply that was posted is not found"},
	"finds any reply":                      {"finds a reply whose answer was lost", "of another text to the same item is found"},
	"finds what was not posted":            {"finds a reply whose answer was lost", "before it is posted is found"},
	"takes a lost answer for a refusal":    {"finds a reply whose answer was lost", "an answer was lost, and the error says that nothing was done"},
	"says too early that nothing was done": {"says that nothing was done only where it is so", "lost: reply: | it says that nothing was done, but it was"},
	"takes any answer for a success":       {"says that nothing was done only where it is so", "login page: reply: the error <nil>: it is not done"},
	"tries again by itself":                {"says that nothing was done only where it is so", "it is done 2 times by one call"},
	"gives up in trouble":                  {"says that nothing was done only where it is so", "failing: reply: | nobody would try again"},
	"shows what the team wrote":            {"says that nothing was done only where it is so", "an error shows what the team wrote"},
	"tells the team a secret":              {"says that nothing was done only where it is so", "a secret is in an error"},
	"waits for a person for ever":          {"says that nothing was done only where it is so", "unauthorized: reply: | want a *sources.StopError"},
	"refuses without a reason":             {"refuses what can't be done", "a RefusedError does not tell the team why"},
	"takes a missing item for trouble":     {"refuses what can't be done", "reply on an item that is gone: "},
	"takes a missing item for a success":   {"refuses what can't be done", "reply on an item that is gone: <nil>"},
	"can't delete what is gone":            {"refuses what can't be done", "to delete an item that is gone is an error"},
	"presses any button":                   {"refuses what can't be done", "a button that there is not is pressed: <nil>"},
	"drops files":                          {"posts a file or refuses the reply", "a reply with a file, which the suite does not promise: <nil>"},
	"does not stop its actions":            {"stops an action with its context", "reply does not stop with its context"},
	"acts after its end":                   {"stops an action with its context", "actions are done with a context that is done"},
	"gives up when it is stopped":          {"stops an action with its context", "reply, cancelled while the world does not answer: | nobody would try again"},
	"keeps the first reply":                {"acts for several at once", "reply is done 0 times beside others; want once"},
}

func TestEachFaultOfAnAdapterIsFound(t *testing.T) {
	t.Parallel()
	for _, fault := range slices.Sorted(maps.Keys(faults)) {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			want := faults[fault]
			reports := runCheck(t, suiteOf(t, fault), want.check)
			for part := range strings.SplitSeq(want.report, " | ") {
				if !slices.ContainsFunc(reports, func(r string) bool { return strings.Contains(r, part) }) {
					t.Errorf("%q does not say %q: %q", want.check, part, reports)
				}
			}
		})
	}
}

// runCheck runs one check and returns the faults that it reports.
func runCheck(t *testing.T, suite Suite, name string) []string {
	t.Helper()
	all := suite.checks()
	at := slices.IndexFunc(all, func(c check) bool { return c.name == name })
	if at < 0 {
		t.Fatalf("no check is named %q", name)
	}
	return record(t, func(r testing.TB) {
		c := newChecker(r, all[at].suite(suite))
		c.patience = time.Second
		all[at].run(c)
	})
}

// record runs a test that may fail, and returns the faults that it reports.
func record(t *testing.T, test func(testing.TB)) []string {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() { // because a fatal fault ends the goroutine
		defer close(done)
		defer r.clean()
		test(r)
	}()
	<-done
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reports
}

// recorder is a test that may fail.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	reports  []string
	cleanups []func()
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reports = append(r.reports, fmt.Sprintf(format, args...))
}

func (r *recorder) Error(args ...any) { r.Errorf("%s", fmt.Sprint(args...)) }

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }

func (r *recorder) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

func (r *recorder) Log(...any) {}

func (r *recorder) Output() io.Writer { return io.Discard }

func (r *recorder) clean() {
	for _, f := range slices.Backward(r.cleanups) {
		f()
	}
}

func TestEveryCheckFindsAFault(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	for _, want := range faults {
		found[want.check] = true
	}
	for _, check := range slices.Concat(checks(), actionChecks()) {
		if !found[check.name] {
			t.Errorf("no fault is found by %q", check.name)
		}
	}
}
