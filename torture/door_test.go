package torture

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"
)

// door is one process's way to the sandbox, on an address of its own. It notes which tickets were made through it
// and whether the answer that told their _id was whole.
type door struct {
	*httptest.Server
	world *world

	mu   sync.Mutex
	open int // connections
	// asked counts the requests, whatever became of them.
	asked int
	// made are the items whose tickets were made here; true if the answer was whole and the client there to take it.
	made map[string]bool
}

func newDoor(w *world) *door {
	d := &door{world: w, made: make(map[string]bool)}
	d.Server = httptest.NewUnstartedServer(d)
	d.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		d.mu.Lock()
		defer d.mu.Unlock()
		switch s {
		case http.StateNew:
			d.open++
		case http.StateClosed, http.StateHijacked:
			d.open--
		}
	}
	d.Start()
	return d
}

// knock is a path that the sandbox does not see.
const knock = "/knock"

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == knock {
		return
	}
	d.mu.Lock()
	d.asked++
	d.mu.Unlock()
	if r.Method == http.MethodPost {
		d.post(w, r)
		return
	}
	d.world.box.ServeHTTP(w, r)
}

// requests counts the requests that have come in.
func (d *door) requests() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

func (d *door) post(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // cut off: nothing was asked
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var asked struct {
		Interaction struct {
			NetworkItemID string `json:"networkItemId"`
		} `json:"interaction"`
	}
	_ = json.Unmarshal(body, &asked) // what is wrong with it is the sandbox's to say
	id := asked.Interaction.NetworkItemID
	before := d.world.ticketID(id)
	answer := &recorder{ResponseWriter: w}
	defer func() {
		if after := d.world.ticketID(id); before == "" && after != "" {
			d.mu.Lock()
			d.made[id] = answer.tells(after) && r.Context().Err() == nil
			d.mu.Unlock()
		}
	}()
	d.world.box.ServeHTTP(answer, r)
}

// drain waits until everything that a dead process has sent is answered, and closes the door.
func (d *door) drain() {
	d.world.Helper()
	// Connections are accepted in order: when ours is, those of the dead process have been.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	if res, err := client.Get(d.URL + knock); err != nil {
		d.world.Error(err)
	} else {
		res.Body.Close()
	}
	until(d.world, "a dead process's requests are answered", time.Minute, func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.open == 0
	})
	d.close()
}

func (d *door) close() {
	d.CloseClientConnections()
	d.Close()
}

// recorder sees what an answer is.
type recorder struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
	failed bool
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	r.body.Write(p)
	n, err := r.ResponseWriter.Write(p)
	r.failed = r.failed || err != nil
	return n, err
}

// Unwrap lets the sandbox cut the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// tells tells whether the answer is whole and has the ticket's _id.
func (r *recorder) tells(id string) bool {
	var ticket struct {
		ID string `json:"_id"`
	}
	return r.status == http.StatusCreated && !r.failed && json.Unmarshal(r.body.Bytes(), &ticket) == nil && ticket.ID == id
}
