package sourcetest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/goccy/go-yaml"
)

// serverMark stands for the address of the replay server.
const serverMark = "$SERVER"

// Exchange is a request and its answer. http.yaml is a list of them:
//
//   - request: GET /topics?page=2
//     header: {Authorization: Bearer s3cret}
//     status: 200
//     answer: {Content-Type: application/json}
//     body: '{"topics": []}'
//
// $SERVER in header, answer and body stands for the address of the replay server. Of several exchanges with one request
// each answers once, in their order. A request that is not recorded, and an exchange that is not asked for, fail the case.
type Exchange struct {
	// Request is the method and the path with its query.
	Request string `yaml:"request"`
	// Header must be in the request; others may.
	Header map[string]string `yaml:"header"`
	// Sends must be the request's body, unless it is empty.
	Sends string `yaml:"sends"`
	// Status of the answer; 200 if left out.
	Status int `yaml:"status"`
	// Answer is the answer's header.
	Answer map[string]string `yaml:"answer"`
	// Body of the answer, or File: the name of a file of the case that holds it, sent as it is.
	Body string `yaml:"body"`
	File string `yaml:"file"`
}

// player answers with recorded exchanges.
type player struct {
	t       testing.TB
	folder  string
	address string

	mu   sync.Mutex
	left []Exchange
}

// serveCase starts the replay server of a case and returns its address, "" if there is nothing to replay.
func serveCase(t testing.TB, folder string) string {
	t.Helper()
	text := readCase(t, folder, httpFile)
	if text == "" {
		return ""
	}
	p := &player{t: t, folder: folder}
	if err := yaml.UnmarshalWithOptions([]byte(text), &p.left, yaml.Strict()); err != nil {
		t.Fatalf("%s: %v", httpFile, err)
	}
	server := httptest.NewUnstartedServer(p)
	p.address = "http://" + server.Listener.Addr().String()
	server.Start()
	t.Cleanup(func() {
		server.Close()
		for _, e := range p.left {
			t.Errorf("%s: %s was not asked for", httpFile, e.Request)
		}
	})
	return p.address
}

func (p *player) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sent, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	e, ok := p.take(r.Method + " " + r.URL.RequestURI())
	if !ok {
		p.t.Errorf("%s has no exchange left for %s %s", httpFile, r.Method, r.URL.RequestURI())
		http.Error(w, "not recorded", http.StatusNotImplemented)
		return
	}
	for name, want := range e.Header {
		if got := r.Header.Get(name); got != p.fill(want) {
			p.t.Errorf("%s: the header %s of %s is %q; want %q", httpFile, name, e.Request, got, p.fill(want))
		}
	}
	if e.Sends != "" && string(sent) != p.fill(e.Sends) {
		p.t.Errorf("%s: %s sends %q; want %q", httpFile, e.Request, sent, p.fill(e.Sends))
	}
	p.answer(w, e)
}

func (p *player) answer(w http.ResponseWriter, e Exchange) {
	body := []byte(p.fill(e.Body))
	if e.File != "" {
		var err error
		if body, err = os.ReadFile(filepath.Join(p.folder, e.File)); err != nil {
			p.t.Error(err)
		}
	}
	for name, value := range e.Answer {
		w.Header().Set(name, p.fill(value))
	}
	if e.Status == 0 {
		e.Status = http.StatusOK
	}
	w.WriteHeader(e.Status)
	_, _ = w.Write(body) // who does not take it will be seen to miss it
}

// take returns the next exchange with this request.
func (p *player) take(request string) (Exchange, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := slices.IndexFunc(p.left, func(e Exchange) bool { return e.Request == request })
	if at < 0 {
		return Exchange{}, false
	}
	e := p.left[at]
	p.left = slices.Delete(p.left, at, at+1)
	return e, true
}

func (p *player) fill(text string) string { return strings.ReplaceAll(text, serverMark, p.address) }
