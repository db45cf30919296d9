package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"socialhub-sync/socialhub"
	"socialhub-sync/store"
)

const (
	// maxBody is the most bytes of a request that SocialHub may send. The limit is ours: a reply has some kilobytes.
	maxBody = 1 << 20
	// storeLimit is how long the store may take for a request; after that SocialHub is to send it again.
	storeLimit = 5 * time.Second
	// templatesLimit is how long the list of templates may take.
	templatesLimit = 10 * time.Second
)

// Webhook is what the receiver knows of a channel.
type Webhook struct {
	ChannelID, Name string
	Secret          socialhub.WebhookSecret
	// Tolerance is how far the time of a request may be off, either way.
	Tolerance time.Duration
	// Fingerprint is that of the channel's token.
	Fingerprint string
	// Templates are what a template reply may be made of; nil if there are none.
	Templates func(context.Context) ([]socialhub.Template, error)
}

// Inbox keeps what SocialHub tells; a [store.Store] is one.
type Inbox interface {
	Receive(ctx context.Context, channelID string, r store.Receipt) (taken int, err error)
}

// ReceiverOptions say what a [Receiver] works with.
type ReceiverOptions struct {
	Inbox    Inbox
	Webhooks []Webhook
	// Wake is called with the channelId after something was stored. It must not block.
	Wake func(channelID string)
	// TrustedProxies are believed when they say whom they ask for.
	TrustedProxies []netip.Prefix
	Logger         *slog.Logger
}

// Receiver takes what the team does in SocialHub: it checks each request, stores what it brings, and only then says that
// it has it. The work is done later, by whoever is woken. What makes a request unbelievable is told to the log alone.
type Receiver struct {
	inbox    *joiner
	known    atomic.Pointer[known]
	wake     func(string)
	requests *prometheus.CounterVec
	// Each kind of message has a limit of its own, so that none hides the others.
	refused, passedOver, failed *limitedLog
	log                         *slog.Logger
}

// known is what a receiver knows of the outside: the webhooks by channelId.
type known struct {
	hooks   map[string]Webhook
	proxies []netip.Prefix
}

// NewReceiver returns the receiver of some channels; no two webhooks have the same channelId.
func NewReceiver(o ReceiverOptions) *Receiver {
	r := &Receiver{
		inbox: newJoiner(o.Inbox), wake: o.Wake, requests: newRequestCounter(), log: o.Logger,
		refused: newLimitedLog(o.Logger), passedOver: newLimitedLog(o.Logger), failed: newLimitedLog(o.Logger),
	}
	r.Know(o.Webhooks, o.TrustedProxies)
	return r
}

// Know makes other webhooks and proxies the configured ones. Requests under way finish with those that they began with. The
// numbers of channels that are gone go, too.
func (rc *Receiver) Know(webhooks []Webhook, proxies []netip.Prefix) {
	k := &known{make(map[string]Webhook), proxies}
	if before := rc.known.Load(); before != nil {
		for _, h := range before.hooks {
			if !slices.ContainsFunc(webhooks, func(w Webhook) bool { return w.Name == h.Name }) {
				rc.requests.DeletePartialMatch(prometheus.Labels{"channel": label(h.Name)})
			}
		}
	}
	for _, h := range webhooks {
		k.hooks[h.ChannelID] = h
		for _, result := range webhookResults {
			rc.requests.WithLabelValues(label(h.Name), result)
		}
	}
	rc.known.Store(k)
}

// proxies are those that are trusted; none without a receiver.
func (rc *Receiver) proxies() []netip.Prefix {
	if rc == nil {
		return nil
	}
	return rc.known.Load().proxies
}

// register adds the receiver's paths.
func (rc *Receiver) register(mux *http.ServeMux) {
	for path, route := range map[string]route{
		"/webhook/{channel}":           {http.MethodPost, rc.events},
		"/webhook/{channel}/templates": {http.MethodGet, rc.templates},
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { rc.serve(route, w, r) })
	}
}

// route is what one path does for a channel.
type route struct {
	method string
	answer func(Webhook, http.ResponseWriter, *http.Request) answer
}

// serve finds the channel, answers and notes what was answered.
func (rc *Receiver) serve(route route, w http.ResponseWriter, r *http.Request) {
	known := rc.known.Load()
	hook, ok := known.hooks[r.PathValue("channel")]
	var a answer
	switch {
	case r.Method != route.method:
		w.Header().Set("Allow", route.method)
		a = refuse(http.StatusMethodNotAllowed, errMethod)
	case !ok:
		a = refuse(http.StatusNotFound, errChannel)
	default:
		a = route.answer(hook, w, r)
	}
	rc.note(hook, peer(r, known.proxies), a)
	a.write(w)
}

// Reasons why a request is refused, beside those of [socialhub.WebhookSecret.Verify].
var (
	errMethod       = errors.New("the method is not the one for this path")
	errChannel      = errors.New("no channel with a webhook has the channelId of the path")
	errUnsigned     = errors.New("the request is not signed")
	errSize         = errors.New("the body has more than 1 MiB")
	errBody         = errors.New("the body did not arrive whole or in time")
	errOtherChannel = errors.New("the events are for another channel than the path")
	errTemplates    = errors.New("the channel has no templates")
)

// events takes the events of one request.
func (rc *Receiver) events(hook Webhook, w http.ResponseWriter, r *http.Request) answer {
	if r.Header.Get(socialhub.HeaderTimestamp) == "" || r.Header.Get(socialhub.HeaderSignature) == "" {
		return refuse(http.StatusUnauthorized, errUnsigned)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return refuse(http.StatusRequestEntityTooLarge, errSize)
	} else if err != nil {
		return refuse(http.StatusBadRequest, errBody)
	}
	challenge, err := hook.Secret.Verify(r.Header, body, time.Now(), hook.Tolerance)
	if err != nil {
		return refuse(http.StatusUnauthorized, err)
	}
	return rc.whole(hook, func() answer { return rc.take(r.Context(), hook, body) }).with(challenge)
}

// take stores what a request brings that is SocialHub's.
func (rc *Receiver) take(ctx context.Context, hook Webhook, body []byte) answer {
	if !utf8.Valid(body) {
		body = []byte(label(string(body))) // as encoding/json reads it, and databases take it
	}
	events, err := socialhub.ParseEvents(body)
	if err != nil {
		// The same body would come again, and never make more sense.
		rc.passedOver.warn("webhook request passed over", slog.String("channel", hook.Name), slog.String("reason", err.Error()))
		return answer{status: http.StatusOK, result: resultStrange}
	}
	if events.ChannelID != hook.ChannelID {
		return refuse(http.StatusBadRequest, errOtherChannel)
	}
	for _, reason := range events.Strange {
		rc.passedOver.warn("webhook event passed over", slog.String("channel", hook.Name), slog.String("reason", reason))
	}
	if len(events.Actions) == 0 && events.Disabled.IsZero() {
		return answer{status: http.StatusOK, result: resultTaken}
	}
	// Who hung up is to be answered by what is stored when it comes again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeLimit)
	defer cancel()
	if err := rc.inbox.receive(ctx, hook.ChannelID, receiptOf(events, hook.Fingerprint, time.Now())); err != nil {
		rc.failed.warn("webhook request can't be stored, SocialHub sends it again", slog.String("channel", hook.Name), slog.Any("error", err))
		return answer{status: http.StatusServiceUnavailable, result: resultUnavailable}
	}
	rc.log.Info("webhook request stored", slog.String("channel", hook.Name), slog.Int("actions", len(events.Actions)),
		slog.Bool("disabled", !events.Disabled.IsZero()))
	rc.wake(hook.ChannelID)
	return answer{status: http.StatusOK, result: resultTaken}
}

// receiptOf is what the store needs to know of the events.
func receiptOf(events *socialhub.Events, fingerprint string, now time.Time) store.Receipt {
	r := store.Receipt{Disabled: events.Disabled, Fingerprint: fingerprint}
	for _, a := range events.Actions {
		at := a.Time()
		if at.IsZero() {
			at = now.UTC()
		}
		r.Actions = append(r.Actions, store.NewAction{
			Key: a.Key(), UUID: a.UUID, Type: string(a.Type), ActionID: a.ActionID, NetworkItemID: a.NetworkItemID, TicketID: a.TicketID,
			Payload: string(a.Payload), Time: at,
		})
	}
	return r
}

// templates lists what template replies may be made of. SocialHub signs an empty body.
func (rc *Receiver) templates(hook Webhook, _ http.ResponseWriter, r *http.Request) answer {
	challenge, err := hook.Secret.Verify(r.Header, nil, time.Now(), hook.Tolerance)
	if err != nil {
		return refuse(http.StatusUnauthorized, err)
	}
	return rc.whole(hook, func() answer { return rc.list(hook, r) }).with(challenge)
}

// list answers a request for the templates that is SocialHub's.
func (rc *Receiver) list(hook Webhook, r *http.Request) answer {
	switch {
	case r.URL.Query().Get("channelId") != hook.ChannelID:
		return refuse(http.StatusBadRequest, errOtherChannel)
	case hook.Templates == nil:
		return refuse(http.StatusNotFound, errTemplates)
	}
	ctx, cancel := context.WithTimeout(r.Context(), templatesLimit)
	defer cancel()
	list, err := hook.Templates(ctx)
	if list == nil {
		list = []socialhub.Template{} // not null
	}
	var body []byte
	if err == nil {
		body, err = json.Marshal(list)
	}
	if err != nil {
		rc.failed.warn("templates can't be listed", slog.String("channel", hook.Name), slog.Any("error", err))
		return answer{status: http.StatusServiceUnavailable, result: resultUnavailable}
	}
	return answer{status: http.StatusOK, result: resultTaken, body: body}
}
