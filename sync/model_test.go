package sync

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sources"
	"socialhub-sync/store"
)

// items are what the plans are about. The journal has those before galleryFirst, the gallery the rest.
var items = [...]struct {
	id, root string
	own      bool
}{
	{id: "journal-root"}, {id: "journal-reply", root: "journal-root"}, {id: "journal-nested", root: "journal-reply"},
	{id: "journal-item"}, {id: "journal-own", own: true}, {id: "journal-thanks", root: "journal-own"},
	{id: "gallery-root"}, {id: "gallery-reply", root: "gallery-root"}, {id: "gallery-cross", root: "journal-root"},
	{id: "gallery-item"}, {id: "gallery-own", root: "gallery-root", own: true}, {id: "gallery-lone", root: "never-seen"},
}

const galleryFirst = 6

// The variants of an item's content. sameContent differs from the first by what is no content, refusedContent is
// nothing that SocialHub takes.
const (
	variants       = 5
	sameContent    = 3
	refusedContent = 4
)

// contentOf is an item's interaction in a variant.
func contentOf(item, variant int) socialhub.Interaction {
	about := items[item]
	i := socialhub.Interaction{
		NetworkItemID: about.id, Message: string(rune('A' + variant%sameContent)),
		Interactor: &socialhub.Interactor{InteractorID: "person-1", Name: fmt.Sprint("Person ", variant)},
	}
	if about.root != "" {
		i.Root = &socialhub.Root{RootID: about.root}
	}
	switch variant {
	case 1:
		i.Pictures = []socialhub.Picture{{Small: "https://example.com/1.png"}}
	case 2:
		i.Attachments = []socialhub.Attachment{{URL: "https://example.com/2.pdf", Name: "2.pdf"}}
	case refusedContent:
		i.Message = ""
	}
	return i
}

func (e entry) asItem() sources.Item {
	it := sources.Item{Interaction: contentOf(e.item, e.variant), UpdatedTime: e.updated, Own: items[e.item].own, Deleted: e.deleted}
	if e.deleted {
		it.Interaction = socialhub.Interaction{NetworkItemID: items[e.item].id}
	}
	return it
}

// plan is what happens in one run.
type plan struct {
	// NetworkID: the channel can have posts of its own. FillHidden is the sandbox's option, Reset and Redact the sources'.
	NetworkID, FillHidden, Reset, Redact bool
	Concurrency                          int
	Latency                              time.Duration
	// Begin is how many items are delivered before the first step.
	Begin int
	Steps []step
}

// step is one thing that happens; it takes of the numbers what it needs.
type step struct {
	Act     string
	Item    int
	Variant int
	Slot    int
	Count   int
	Wait    time.Duration
	Route   string
	Fault   sandbox.Kind
}

func (p plan) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%+v", struct {
		NetworkID, FillHidden, Reset, Redact bool
		Concurrency, Begin                   int
		Latency                              time.Duration
	}{p.NetworkID, p.FillHidden, p.Reset, p.Redact, p.Concurrency, p.Begin, p.Latency})
	for _, s := range p.Steps {
		if s.Act != nothing {
			fmt.Fprintf(&text, "\n\t%s", s)
		}
	}
	return text.String()
}

// GoString keeps rapid from showing the plan a second time, with every number.
func (p plan) GoString() string { return fmt.Sprintf("a plan of %d steps", len(p.Steps)) }

// String shows the numbers that the act takes.
func (s step) String() string {
	switch s.Act {
	case "show":
		return fmt.Sprintf("show %s %d", items[s.Item].id, s.Variant)
	case "vanish", "delete", "again", "done", "remove", "overtake", "cut in flight":
		return s.Act + " " + items[s.Item].id
	case "edit all":
		return fmt.Sprintf("edit all %d", s.Variant)
	case "wait", "refuse":
		return fmt.Sprintf("%s %v", s.Act, s.Wait)
	case "fault":
		return fmt.Sprintf("fault %s (%v) for %d requests of %q", s.Fault, s.Wait, s.Count, s.Route)
	case "stall", "fail":
		return fmt.Sprintf("%s the source of %s: %v, %d", s.Act, items[s.Item].id, s.Wait, s.Variant)
	case "crash", "start", "stop", "cut", "plug":
		return fmt.Sprintf("%s %d", s.Act, s.Slot)
	case "crash later":
		return fmt.Sprintf("crash %d at the %d. %s", s.Slot, s.Count, []string{"request", "answer", "batch"}[s.Variant%3])
	}
	return s.Act
}

const nothing = "nothing"

// acts are what may happen, the simplest first: rapid makes plans smaller towards it.
var acts = []string{
	nothing, "show", "show", "show", "show", "show", "show", "edit all", "edit all", "edit all", "wait", "wait", "wait", "wait", "wait", "wait", "wait",
	"fault", "fault", "fault", "fault", "vanish", "delete", "again", "crash", "crash later", "crash later", "start", "start", "start", "stop",
	"cut", "plug", "resume", "resume", "new token", "new token", "adopt", "done", "remove", "stall", "fail", "deactivate", "activate",
	"activate", "jump", "refuse", "refuse", "overtake", "overtake", "cut in flight", "cut in flight",
}

func anyPlan(steps int) *rapid.Generator[plan] {
	one := rapid.Custom(func(t *rapid.T) step {
		return step{
			Act:     rapid.SampledFrom(acts).Draw(t, "act"),
			Item:    rapid.IntRange(0, len(items)-1).Draw(t, "item"),
			Variant: rapid.SampledFrom([]int{0, 1, 2, 0, 1, 2, sameContent, refusedContent}).Draw(t, "variant"),
			Slot:    rapid.IntRange(0, 1).Draw(t, "slot"),
			Count:   rapid.IntRange(1, 4).Draw(t, "count"),
			Wait:    rapid.SampledFrom([]time.Duration{time.Second, 100 * time.Millisecond, 12 * time.Second, 5 * time.Second, 12 * time.Second, 40 * time.Second, 90 * time.Second}).Draw(t, "wait"),
			Route:   rapid.SampledFrom([]string{sandbox.RoutePost, sandbox.RoutePatch, "", sandbox.RoutePatch, sandbox.RoutePost, sandbox.RouteRoot}).Draw(t, "route"),
			Fault:   rapid.SampledFrom(sandbox.Kinds).Draw(t, "fault"),
		}
	})
	return rapid.Custom(func(t *rapid.T) plan {
		return plan{
			NetworkID: rapid.Bool().Draw(t, "networkID"), FillHidden: rapid.Bool().Draw(t, "fillHidden"),
			Reset: rapid.Bool().Draw(t, "reset"), Redact: rapid.Bool().Draw(t, "redact"),
			Concurrency: rapid.SampledFrom([]int{1, 3}).Draw(t, "concurrency"),
			Latency:     rapid.SampledFrom([]time.Duration{0, 300 * time.Millisecond, 3 * time.Second}).Draw(t, "latency"),
			Begin:       rapid.IntRange(0, len(items)).Draw(t, "begin"),
			Steps:       rapid.SliceOfN(one, steps/2, steps*3/2).Draw(t, "steps"),
		}
	})
}

// TestTheEngineDoesWhatAModelSays plays random plans of what sources, SocialHub, people and processes may do, lets
// everything come to rest, and compares what is there with a model (model_check_test.go) that knows only what was
// pulled and committed. To play more plans than a usual test run does:
//
//	go test ./sync -run TheEngineDoesWhatAModelSays/sqlite -rapid.checks=100000 -timeout 30m
//
// It ends in good order shortly before the time is over. A failure tells its plan and its seed. To play it again:
//
//	go test ./sync -run TheEngineDoesWhatAModelSays/sqlite -rapid.seed=SEED
//
// or, for the plan that rapid made smaller, -rapid.failfile=FILE; files that lie in testdata/rapid are always played.
// A seed gives the same plan each time, but not the same run: waits between retries are random, and requests run at
// the same time. So a plan is then played up to 20 times, until it fails.
func TestTheEngineDoesWhatAModelSays(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		checkPlans(t, 40, func(p plan) (*witness, *arena) {
			var v *witness
			var a *arena
			synctest.Test(t, func(t *testing.T) {
				v = &witness{TB: t}
				a = v.play(p, false, func() *world { return newWorld(v, p.sandbox(), p.channel()) })
			})
			return v, a
		})
	})
	t.Run("postgres", func(t *testing.T) {
		onPostgres(t, sandbox.Options{}, func(t *testing.T, w *world) {
			var graves []*arena
			t.Cleanup(func() {
				for _, a := range graves {
					a.bury()
				}
			})
			checkPlans(t, 25, func(p plan) (*witness, *arena) {
				v := &witness{TB: t}
				p.Latency /= 100
				var a *arena
				t.Run("plan", func(t *testing.T) {
					v.TB = t
					a = v.play(p, true, func() *world { w.empty(); return newWorldOn(v, w.dbURL, p.sandbox(), p.channel()) })
				})
				graves = append(graves, a)
				return v, a
			})
		})
	})
}

// TestTheModelKnowsWhatADeletionLeaves plays what a random plan rarely has: what is shown and deleted in one batch.
func TestTheModelKnowsWhatADeletionLeaves(t *testing.T) {
	at := func(act string, item, variant int) step { return step{Act: act, Item: item, Variant: variant} }
	for _, redact := range []bool{false, true} {
		t.Run(fmt.Sprint("redact ", redact), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				p := plan{Redact: redact, Reset: true, Concurrency: 1, Begin: 2, Steps: []step{
					at("show", 0, 1), at("delete", 0, 0), {Act: "wait", Wait: 12 * time.Second},
					at("show", 1, refusedContent), at("delete", 1, 0), {Act: "wait", Wait: 12 * time.Second},
					at("show", 3, 0), at("delete", 3, 0),
				}}
				v := &witness{TB: t}
				v.play(p, false, func() *world { return newWorld(v, p.sandbox(), p.channel()) })
				for _, fault := range v.faults {
					t.Error(fault)
				}
			})
		})
	}
}

func (p plan) sandbox() sandbox.Options {
	return sandbox.Options{Latency: p.Latency, FillHiddenRoots: p.FillHidden}
}

// empty makes the database as good as new.
func (w *world) empty() {
	w.t.Helper()
	db := w.sql()
	defer db.Close()
	if _, err := db.Exec("TRUNCATE channels, sources, tickets"); err != nil {
		w.t.Fatal(err)
	}
}

func (p plan) channel() (o sandbox.ChannelOptions) {
	if p.NetworkID {
		o.NetworkID = "ourselves"
	}
	return o
}

// enough is how long a usual run plays plans; rapid.checks asks for a number of them instead. With the race detector
// SQLite, which is Go, is ten times slower.
const enough = 10 * time.Second

// checkPlans plays plans of about so many steps.
func checkPlans(t *testing.T, steps int, play func(plan) (*witness, *arena)) {
	plans := anyPlan(steps)
	var sum figures
	t.Cleanup(func() { t.Logf("%+v", sum) })
	played, tries := 0, 1
	if given("rapid.seed") || given("rapid.failfile") {
		tries = 20
	}
	began := time.Now()
	rapid.Check(t, func(r *rapid.T) {
		if tries == 1 && !given("rapid.checks") && time.Since(began) > enough {
			return
		}
		played++
		p := plans.Draw(r, "plan")
		for range tries {
			v, a := play(p)
			sum.add(a)
			if len(v.faults) == 0 {
				continue
			}
			report := fmt.Sprintf("plan %d: %v\nthe engines' last words:\n%s\nwhat is wrong:\n%s", played, p, a.logged(), strings.Join(v.faults, "\n"))
			if tries == 1 { // before it is made smaller
				t.Log(report)
			}
			tries = max(tries, 5)
			r.Log(report)
			r.Fatalf("the engine does not do what the model says")
		}
	})
}

// given tells whether a flag has another value than its default.
func given(name string) bool {
	f := flag.Lookup(name)
	return f.Value.String() != f.DefValue
}

// play plays a plan in a new world.
func (v *witness) play(p plan, realTime bool, build func() *world) (a *arena) {
	a = &arena{}
	defer func() {
		if r := recover(); r != nil && r != any(errOver) {
			panic(r)
		}
	}()
	a.furnish(build(), p, realTime)
	if !realTime { // else what is left of the dead takes real time to end
		defer a.bury()
	}
	a.start(0)
	for n := range p.Begin {
		a.act(step{Act: "show", Item: n})
	}
	a.pass(12 * time.Second)
	for _, s := range p.Steps {
		if s.Act == nothing {
			a.idle++
			continue
		}
		a.revive()
		a.act(s)
	}
	a.calm()
	a.rest()
	a.rows = a.check()
	a.checkQuiet()
	a.adopt()
	a.rest()
	for id, row := range a.check() {
		if ticket, _ := a.box.Ticket(a.channel.ID, id); row.State == store.Unlinked && !a.removed[ticket.ID] {
			a.t.Errorf("%s is unlinked, though its _id was told", id)
		}
	}
	a.stopAll()
	a.noLeases()
	return a
}

// revive replaces replicas that died.
func (a *arena) revive() {
	for slot, r := range a.slots {
		if r == nil {
			continue
		}
		a.mu.Lock()
		dead := r.dead
		a.mu.Unlock()
		if dead {
			a.slots[slot] = nil
			a.start(slot)
		}
	}
}

// act does one step.
func (a *arena) act(s step) {
	f := a.feeds[0]
	if s.Item >= galleryFirst {
		f = a.feeds[1]
	}
	r := a.slots[s.Slot]
	e := entry{item: s.Item, variant: s.Variant, updated: time.Now().UTC()}
	ticket, exists := a.box.Ticket(a.channel.ID, items[s.Item].id)
	switch s.Act {
	case "wait":
		a.pass(s.Wait)
	case "refuse":
		a.refuse(true)
		a.pass(s.Wait)
		a.refuse(false)
	case "overtake":
		a.overtake(f, s)
	case "cut in flight":
		f.put(e)
		a.cutInFlight()
	case "jump":
		a.stopAll()
		a.pass(3 * time.Hour)
		a.start(0)
	case "show":
		f.put(e)
	case "edit all":
		for _, f := range a.feeds {
			f.edit(s.Variant)
		}
	case "delete":
		e.deleted = true
		f.put(e)
	case "again":
		if last := f.latest(s.Item); last != nil {
			f.put(*last)
		}
	case "vanish":
		f.vanish(s.Item)
	case "stall", "fail":
		f.meet(s, a.realTime)
	case "fault":
		fault := sandbox.Fault{Kind: s.Fault, Wait: s.Wait}
		if a.realTime {
			fault.Wait /= 100
		}
		a.mu.Lock()
		a.trouble = append(a.trouble, trouble{s.Route, fault, s.Count})
		a.mu.Unlock()
	case "resume":
		a.resume()
	case "new token":
		a.newToken()
	case "deactivate":
		a.box.Deactivate(a.channel.ID)
	case "activate":
		a.box.Activate(a.channel.ID)
	case "adopt":
		a.adopt()
	case "done":
		if exists {
			a.box.Done(ticket.ID)
		}
	case "remove":
		if exists && ticket.Folder != sandbox.FolderHidden {
			a.mu.Lock()
			a.removed[ticket.ID] = true
			a.mu.Unlock()
		}
	case "start":
		a.start(s.Slot)
	case "stop":
		a.stop(s.Slot)
	case "crash", "crash later", "cut", "plug":
		if r != nil {
			r.suffer(s)
		}
	}
}

// overtake cuts a process off in the middle of a poll for so long that the other one takes over and reads something
// newer; then it is back with what it had read.
func (a *arena) overtake(f *feed, s step) {
	if a.realTime {
		return
	}
	a.start(0)
	a.start(1)
	hold := make(chan struct{})
	defer close(hold)
	f.mu.Lock()
	f.hold, f.holding = hold, nil
	f.mu.Unlock()
	a.pass(12 * time.Second)
	f.mu.Lock()
	r := f.holding
	f.hold = nil
	f.mu.Unlock()
	if r == nil { // the source is paused, or nobody lives
		return
	}
	r.suffer(step{Act: "cut"})
	f.edit(s.Variant)
	f.vanish(s.Item)
	a.pass(80 * time.Second)
	r.suffer(step{Act: "plug"})
}

// cutInFlight cuts the process off that has a request under way, so that it can't store the answer and the other one
// takes over; then it is back with the answer.
func (a *arena) cutInFlight() {
	if a.realTime || a.plan.Latency == 0 {
		return
	}
	a.start(0)
	a.start(1)
	for range 120 {
		if a.meter.now.Load() > 0 {
			break
		}
		a.pass(100 * time.Millisecond)
	}
	both := a.slots
	for _, r := range both {
		if strings.Contains(a.dump("channels")[0], "lease_owner="+r.owner+" ") {
			r.suffer(step{Act: "cut"})
		}
	}
	a.pass(90 * time.Second)
	for _, r := range both {
		r.suffer(step{Act: "plug"})
	}
}

// suffer is what happens to a process.
func (r *replica) suffer(s step) {
	if s.Act == "crash" {
		r.kill()
		return
	}
	a := r.arena
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case s.Act == "cut" && !r.cut && !r.dead && r.link != "":
		r.cut, r.wasCut = true, true
		r.unplug()
	case s.Act == "plug" && r.cut && !r.dead:
		r.cut = false
		r.plug()
	case s.Act == "crash later":
		*[]*int{&r.beforeRequest, &r.afterAnswer, &r.beforeBatch}[s.Variant%3] = s.Count
	}
}

// resume is a person's word that the trouble is over.
func (a *arena) resume() {
	if _, err := a.store.ResumeChannel(a.t.Context(), a.channel.ID); err != nil {
		a.t.Fatal(err)
	}
	for _, src := range a.options.Sources {
		if _, err := a.store.ResumeSource(a.t.Context(), a.channel.ID, src.Name); err != nil {
			a.t.Fatal(err)
		}
	}
}

// newToken replaces the access token in SocialHub, and in the configuration, for which the processes are restarted.
func (a *arena) newToken() {
	a.channel.Token, _ = a.box.ReplaceToken(a.channel.ID)
	for slot, r := range a.slots {
		if r != nil {
			a.stop(slot)
			a.start(slot)
		}
	}
}

func (a *arena) stopAll() {
	for slot := range a.slots {
		a.stop(slot)
	}
}

// adopt tells the _id of every ticket that is still in SocialHub.
func (a *arena) adopt() {
	var links []store.Link
	for _, t := range a.box.Tickets(a.channel.ID) {
		if !a.removed[t.ID] {
			links = append(links, store.Link{NetworkItemID: t.Interaction.NetworkItemID, TicketID: t.ID})
		}
	}
	if _, err := a.store.Adopt(a.t.Context(), a.channel.ID, links); err != nil {
		a.t.Fatal(err)
	}
}

// calm ends all trouble. Waits that may still be long are over when the next process starts.
func (a *arena) calm() {
	a.mu.Lock()
	a.trouble = nil
	for _, r := range a.all {
		r.beforeRequest, r.afterAnswer, r.beforeBatch = 0, 0, 0
		if r.cut && !r.dead {
			r.cut = false
			r.plug()
		}
	}
	a.mu.Unlock()
	for _, f := range a.feeds {
		f.mu.Lock()
		f.stall, f.fail = 0, nil
		f.mu.Unlock()
	}
	a.box.Activate(a.channel.ID)
	a.newToken()
	a.pass(30 * time.Second)
	a.stopAll()
	a.pass(15 * time.Minute)
	a.calmed = true
	a.start(0)
}

// rest waits until everything was pulled and delivered.
func (a *arena) rest() {
	a.pass(12 * time.Second)
	for range 60 {
		states, err := a.store.ChannelStates(a.t.Context())
		if err != nil {
			a.t.Fatal(err)
		}
		if !states[0].Pending {
			return
		}
		a.pass(5 * time.Second)
	}
	a.t.Errorf("something is pending though the trouble is long over")
}
