package web

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"socialhub-sync/socialhub"
)

// What became of a request, as the metrics call it.
const (
	resultTaken       = "taken"
	resultStrange     = "passed_over"
	resultRefused     = "refused"
	resultUnavailable = "unavailable"
)

var webhookResults = []string{resultTaken, resultStrange, resultRefused, resultUnavailable}

func newRequestCounter() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "socialhub_sync_webhook_requests_total",
		Help: "Requests to the webhook: taken, passed over because they make no sense, refused because they are not believed, " +
			"or unavailable, so that SocialHub sends them again. The channel is empty if the path names none.",
	}, []string{"channel", "result"})
}

// answer is what a request to the receiver gets: a status, perhaps a body of JSON, and no words.
type answer struct {
	status    int
	result    string
	challenge string
	body      []byte
	// reason is why it was refused, for the log.
	reason error
}

func refuse(status int, reason error) answer {
	return answer{status: status, result: resultRefused, reason: reason}
}

// with adds the challenge, which every request gets that was signed well: SocialHub removes a webhook that does not know it.
func (a answer) with(challenge string) answer {
	a.challenge = challenge
	return a
}

func (a answer) write(w http.ResponseWriter) {
	if a.challenge != "" {
		w.Header().Set(socialhub.HeaderChallenge, a.challenge)
	}
	if a.body != nil {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // nobody is left to tell
}

// whole calls f for a request that is SocialHub's. Should f break down, there is an answer nevertheless, to which the
// challenge can be added. The value of the panic may hold content, the stack does not: it has addresses for arguments.
func (rc *Receiver) whole(hook Webhook, f func() answer) (a answer) {
	defer func() {
		if p := recover(); p != nil {
			rc.log.Error("webhook request broke down, please report this", slog.String("channel", hook.Name),
				slog.String("panic", fmt.Sprintf("%T", p)), slog.String("stack", string(debug.Stack())))
			a = answer{status: http.StatusInternalServerError, result: resultUnavailable}
		}
	}()
	return f()
}

// note counts a request and logs why it was refused.
func (rc *Receiver) note(hook Webhook, peer string, a answer) {
	rc.requests.WithLabelValues(label(hook.Name), a.result).Inc()
	if a.reason != nil {
		rc.refused.warn("webhook request refused", slog.String("channel", hook.Name), slog.Int("status", a.status),
			slog.String("reason", a.reason.Error()), slog.String("peer", peer))
	}
}

// A message that anybody can cause is logged so often at a time, and then once in a while.
const (
	logBurst = 10
	logEvery = 10 * time.Second
)

// limitedLog keeps a flood of requests from becoming a flood of lines. What it leaves out it counts.
type limitedLog struct {
	log     *slog.Logger
	limiter *rate.Limiter
	omitted atomic.Int64
}

func newLimitedLog(log *slog.Logger) *limitedLog {
	return &limitedLog{log: log, limiter: rate.NewLimiter(rate.Every(logEvery), logBurst)}
}

func (l *limitedLog) warn(message string, attrs ...any) {
	if !l.limiter.Allow() {
		l.omitted.Add(1)
		return
	}
	if n := l.omitted.Swap(0); n > 0 {
		attrs = append(attrs, slog.Int64("lines_left_out", n))
	}
	l.log.Warn(message, attrs...)
}
