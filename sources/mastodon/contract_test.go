package mastodon

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources/sourcetest"
)

// world is the fake with the kit's items in one of its streams.
type world struct {
	*fake
	*sourcetest.Server
	stream string
	ids    map[int]string
	top    string
}

func newWorld(stream string) func(testing.TB) sourcetest.World {
	return func(t testing.TB) sourcetest.World {
		w := &world{fake: newFake(), stream: stream, ids: map[int]string{}}
		if stream == "threads" {
			at := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
			w.top = w.put(post{ID: snowflake(at, 0), CreatedAt: at, Account: me, Content: "<p>ask us</p>"})
		}
		w.Server = sourcetest.NewServer(t, w.fake)
		return w
	}
}

func (w *world) ServeHTTP() {} // the kit's server answers, not the fake itself

func (w *world) Settings() string {
	rescan := "2m"
	if w.stream == "threads" {
		rescan = "2h"
	}
	common := fmt.Sprintf("server: %s\naccess_token: %s\nhistory: 8784h\nrescan: %s\nmax_size: 4194304\n", w.URL(), token, rescan)
	switch w.stream {
	case "mentions":
		return common + "threads: false\n"
	case "threads":
		return common + "mentions: false\n"
	}
	return common + "mentions: false\nthreads: false\nhashtags: [Kit]\n"
}

func (w *world) Put(items ...sourcetest.Item) {
	for _, item := range items {
		w.mu.Lock()
		id, known := w.ids[item.ID]
		if !known {
			id = snowflake(item.Created, item.ID)
			w.ids[item.ID] = id
		}
		w.mu.Unlock()
		p := post{ID: id, CreatedAt: item.Created, Account: anna, Content: "<p>" + item.Text + "</p>", Tags: []tag{{"kit"}}}
		if !item.Updated.Equal(item.Created) {
			p.EditedAt = new(item.Updated.Format(time.RFC3339))
		}
		if w.stream == "threads" {
			p.InReplyToID = &w.top
		}
		w.put(p)
		if w.stream == "mentions" && !known {
			w.mention(id)
		}
	}
}

func (w *world) Remove(ids ...int) {
	for _, n := range ids {
		w.mu.Lock()
		id := w.ids[n]
		w.mu.Unlock()
		w.remove(id)
	}
}

// Done implements [sourcetest.Actor].
func (w *world) Done() []sourcetest.Deed {
	w.mu.Lock()
	defer w.mu.Unlock()
	items := map[string]int{}
	for n, id := range w.ids {
		items[id] = n
	}
	var deeds []sourcetest.Deed
	for _, p := range w.posted {
		deed := sourcetest.Deed{Type: socialhub.ActionReply, Item: items[p.InReplyToID], Text: p.Status}
		for _, id := range p.MediaIDs {
			deed.Files = append(deed.Files, string(w.files[id].content))
		}
		deeds = append(deeds, deed)
	}
	for _, p := range w.pressed {
		button := map[string]string{"favourite": "favourite", "reblog": "boost"}[p.verb]
		deeds = append(deeds, sourcetest.Deed{Type: socialhub.ActionButton, Item: items[p.id], Button: button})
	}
	return deeds
}

func TestContract(t *testing.T) {
	t.Parallel()
	wrong := []sourcetest.Wrong{
		{Line: "server: m.example"}, {Line: "server: ftp://m.example"}, {Line: "server: http://m.example"},
		{Line: "server: https://jo:k3y@m.example"}, {Line: "server: https://m.example/api/v1"}, {Line: "server: https://m.example?key=1"},
		{Line: `access_token: "two words"`},
		{Line: "hashtags: [two words]"}, {Line: "hashtags: [a/b]"}, {Line: `hashtags: ["#"]`}, {Line: `hashtags: ["#tea", TEA]`},
		{Line: "hashtags: [a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u]"},
		{Line: "mentions: false\nthreads: false\nhashtags: []", Key: "hashtags"},
		{Line: "history: -1h"}, {Line: "history: 9000h"}, {Line: "rescan: 0s"}, {Line: "rescan: 9000h"},
		{Line: "prefix: two words"}, {Line: "timeout: 0s"}, {Line: "timeout: 1h"}, {Line: "max_size: 0"}, {Line: "max_size: 1000000000"},
	}
	for _, stream := range []string{"mentions", "threads", "hashtags"} {
		t.Run(stream, func(t *testing.T) {
			t.Parallel()
			suite := sourcetest.Suite{
				Adapter: New(), World: newWorld(stream), Timeout: "timeout: 100ms", Wrong: wrong,
				Incremental: true, Edits: 2 * time.Minute, Late: 2 * time.Minute,
				Actions: []sourcetest.Ability{
					{Type: socialhub.ActionReply, Files: true},
					{Type: socialhub.ActionButton, ID: "favourite"}, {Type: socialhub.ActionButton, ID: "boost"},
				},
				Unseen: stream != "threads", // mentions and hashtags do not show what we post
			}
			if stream == "threads" { // a thread is read as a whole
				suite.Incremental, suite.Edits, suite.Late = false, sourcetest.Always, sourcetest.Always
			}
			suite.Wrong = slices.Clone(wrong)
			sourcetest.Run(t, suite)
		})
	}
}
