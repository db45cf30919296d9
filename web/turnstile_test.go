package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

func TestPagesAndScrapesAskTheDatabaseFewAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := newReader(w.store, configured(), nopLog)
	t.Cleanup(r.close)
	page := &statusPage{reader: r, log: nopLog}
	get := func(ctx context.Context, handler http.Handler) int {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
		return recorder.Code
	}
	var leave []func()
	for range maxReaders {
		out, err := r.readers.enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, out)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if status := get(ctx, page); status != http.StatusServiceUnavailable {
		t.Errorf("one more page: %d", status)
	}
	if _, _, err := (&collector{reader: r}).read(ctx); err == nil {
		t.Error("one more scrape reads")
	}
	if err := r.ready(t.Context()); err != nil {
		t.Errorf("pages keep the health check waiting: %v", err)
	}
	leave[0]()
	for range 2 * maxReaders { // each leaves again
		if status := get(t.Context(), page); status != http.StatusOK {
			t.Errorf("after one has left: %d", status)
		}
	}
	leave[1]()
}

func TestWhoWaitsAtTheTurnstileComesInWhenOneLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := make(turnstile, 1)
		leave, err := gate.enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		time.AfterFunc(time.Second, leave)
		if leave, err = gate.enter(t.Context()); err != nil || time.Since(began) != time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := gate.enter(ctx); err == nil {
			t.Error("two are in")
		}
		leave()
	})
}
