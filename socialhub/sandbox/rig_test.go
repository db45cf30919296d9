package sandbox_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"socialhub-sync/socialhub/sandbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a sandbox behind a real server, with one channel.
type rig struct {
	t *testing.T
	*sandbox.Server
	channel sandbox.Channel
	url     string
	client  *http.Client
}

func newRig(t *testing.T, o sandbox.Options, c sandbox.ChannelOptions) *rig {
	t.Helper()
	s := sandbox.New(o)
	ch, err := s.AddChannel(c)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		_ = s.Close()
		server.Close()
	})
	return &rig{t: t, Server: s, channel: ch, url: server.URL, client: server.Client()}
}

// answer is an answer that was read to its end.
type answer struct {
	status int
	header http.Header
	text   string
	json   map[string]any
}

// try sends a request with the channel's token; path may have a query.
func (r *rig) try(method, path, body string) (answer, error) {
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path+separator+"accesstoken="+r.channel.Token,
		strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	return read(r.client.Do(req))
}

func read(resp *http.Response, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	a := answer{status: resp.StatusCode, header: resp.Header, text: string(text)}
	_ = json.Unmarshal(text, &a.json) // not every answer is JSON
	return a, err
}

func (r *rig) do(method, path, body string) answer {
	r.t.Helper()
	a, err := r.try(method, path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

// post creates a ticket from the members of an interaction and returns its _id.
func (r *rig) post(members string) string {
	r.t.Helper()
	a := r.do("POST", "/inbox/tickets", `{"interaction":{`+members+`}}`)
	if a.status != http.StatusCreated {
		r.t.Fatalf("POST answered %d %s", a.status, a.text)
	}
	return a.json["_id"].(string)
}

func (r *rig) patch(id, query, members string) answer {
	r.t.Helper()
	return r.do("PATCH", "/inbox/tickets/"+id+query, `{"interaction":{`+members+`}}`)
}

func (r *rig) ticket(item string) sandbox.Ticket {
	r.t.Helper()
	t, ok := r.Ticket(r.channel.ID, item)
	if !ok {
		r.t.Fatalf("there is no ticket for %s", item)
	}
	return t
}

// simple are the members of the smallest good interaction.
func simple(item string) string { return `"networkItemId":"` + item + `","message":"hello"` }
