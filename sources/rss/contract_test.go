package rss

import (
	"encoding/xml"
	"fmt"
	"hash/fnv"
	"net/http"
	"strings"
	"testing"
	"time"

	"socialhub-sync/sources"
	"socialhub-sync/sources/sourcetest"
)

// world is a blog with a feed of all its entries.
type world struct {
	sourcetest.Shelf
	*sourcetest.Server
}

func newWorld(t testing.TB) sourcetest.World {
	w := &world{}
	w.Server = sourcetest.NewServer(t, http.HandlerFunc(w.feed))
	return w
}

func (w *world) Settings() string {
	return "url: " + strings.Replace(w.URL(), "://", "://jo:s3cret@", 1) + "/feed?key=k3y-k3y\n"
}

func (w *world) feed(out http.ResponseWriter, r *http.Request) {
	var b strings.Builder
	b.WriteString(`<feed xmlns="http://www.w3.org/2005/Atom"><title>Blog</title>`)
	for _, item := range w.Items() {
		fmt.Fprintf(&b, `<entry><id>entry-%d</id><title>`, item.ID)
		_ = xml.EscapeText(&b, []byte(item.Text))
		fmt.Fprintf(&b, `</title><published>%s</published><updated>%s</updated></entry>`,
			item.Created.Format(time.RFC3339), item.Updated.Format(time.RFC3339))
	}
	b.WriteString(`</feed>`)
	hash := fnv.New64()
	_, _ = hash.Write([]byte(b.String()))
	tag := fmt.Sprintf(`"%x"`, hash.Sum64())
	out.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		out.WriteHeader(http.StatusNotModified)
		return
	}
	out.Header().Set("Content-Type", "application/atom+xml")
	fmt.Fprint(out, b.String())
}

func TestContract(t *testing.T) {
	t.Parallel()
	sourcetest.Run(t, sourcetest.Suite{
		Adapter: New(), World: newWorld, Items: sources.MaxBatch + 1, Incremental: true, Edits: sourcetest.Always, Late: sourcetest.Always,
		Timeout: "timeout: 100ms",
		Wrong:   []sourcetest.Wrong{{Line: "timeout: -1s"}, {Line: "url: https://jo:s3cret@ho st/"}, {Line: "prefix: my blog"}},
	})
}
