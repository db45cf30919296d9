// Package web answers the daemon's listener: the status page, the metrics and the health checks, which only read, and only
// what the store knows; and SocialHub's webhook, see [Receiver]. It keeps no state of its own but the last counts.
package web

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"socialhub-sync/socialhub"
	"socialhub-sync/store"
)

const (
	// answerLimit bounds the queries of one page or scrape. Prometheus gives a scrape up after 10 s unless
	// told otherwise.
	answerLimit = 5 * time.Second
	// readyLimit bounds the query of /readyz.
	readyLimit = 2 * time.Second
)

// Channel is a configured channel with the names of its configured sources.
type Channel struct {
	ID, Name string
	Sources  []string
}

// Options say what a [Handler] shows, and of what.
type Options struct {
	Store *store.Store
	// Channels are the configured ones with their sources; they are shown as far as the store knows them.
	Channels []Channel
	// Receiver may be nil.
	Receiver *Receiver
	// Readers may read the status page and the metrics; the health checks and the webhook are open for all.
	Readers Readers
	// RateLimits returns what SocialHub last said of each channel's budget of requests, by channelId; it may be nil.
	RateLimits func() map[string]socialhub.RateLimit
	// Metrics are shown beside those that are read from the store.
	Metrics []prometheus.Collector
	Version string
	// Logger hears on level debug what the store said when it did not answer: the engine tells of that already.
	Logger *slog.Logger
}

// Handler answers the listener.
type Handler struct {
	http.Handler
	reader *reader
	door   *door
}

// Close ends what the handler does in the background; close it before the store. It goes on answering, with the
// last count of the tickets.
func (h *Handler) Close() { h.reader.close() }

// Show makes other channels and sources the configured ones.
func (h *Handler) Show(channels []Channel) { h.reader.show(channels) }

// Admit makes others those who may read.
func (h *Handler) Admit(readers Readers) { h.door.readers.Store(&readers) }

// New returns the handler of the listener. It may outlive the store: it then says that the database does not answer.
func New(o Options) *Handler {
	r, log := newReader(o.Store, o.Channels, o.Logger), o.Logger
	mux := http.NewServeMux()
	d := newDoor(o.Readers, o.Receiver.proxies, log)
	mux.Handle("GET /{$}", d.before(&statusPage{reader: r, limits: o.RateLimits, version: o.Version, log: log}))
	metrics := o.Metrics
	if o.Receiver != nil {
		o.Receiver.register(mux)
		metrics = append(slices.Clip(metrics), o.Receiver.requests)
	}
	mux.Handle("GET /metrics", d.before(metricsHandler(r, o.Version, log, metrics...)))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, req *http.Request) {
		ctx, cancel := context.WithTimeout(req.Context(), readyLimit)
		defer cancel()
		if err := r.ready(ctx); err != nil {
			log.Debug("readyz", slog.Any("error", err))
			say(w, http.StatusServiceUnavailable, "the database does not answer")
			return
		}
		say(w, http.StatusOK, "ok")
	})
	return &Handler{guarded(telling(mux, log)), r, d}
}

// say answers with one line.
func say(w http.ResponseWriter, status int, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, line+"\n") // nobody is left to tell
}

// telling logs what breaks down, and ends the connection as net/http does, which itself would tell it together with every
// handshake that failed. The value of the panic may hold content, the stack does not.
func telling(next http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				log.Error("a request broke down, please report this", slog.String("panic", fmt.Sprintf("%T", p)), slog.String("stack", string(debug.Stack())))
				panic(http.ErrAbortHandler)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// guarded sets the headers that keep a browser from doing anything but showing the answer.
func guarded(next http.Handler) http.Handler {
	policy := fmt.Sprintf("default-src 'none'; style-src '%s'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'", styleHash)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}
