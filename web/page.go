package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed" // the page's text and style
	"encoding/base64"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/store"
)

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	style string

	pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"grouped": grouped}).Parse(pageText))
	styleHash    = hashOf(style)
)

// hashOf is a style's name in a Content-Security-Policy.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// problemLimit is how many tickets of one state are listed per channel.
const problemLimit = 20

// statusPage renders what the store knows.
type statusPage struct {
	reader *reader
	// limits may be nil, see [Options].
	limits  func() map[string]socialhub.RateLimit
	version string
	log     *slog.Logger
}

// view is what the template shows.
type view struct {
	Style   template.CSS
	Version string
	Now     moment
	// Still is true for readers who don't want the page to come anew under them.
	Still bool
	// Down leaves out all the rest: the database does not answer.
	Down      bool
	Troubles  []trouble
	Channels  []channelRow
	Sources   []sourceRow
	Backfills []sourceRow
	Actions   []actionsRow
	Problems  []problemRow
	Stuck     []stuckRow
	// Limit is how many problems of a kind are shown per channel.
	Limit int
}

// trouble is one thing that needs somebody's look.
type trouble struct {
	What, Name, Word string
	// At is the id of the place on the page that tells more.
	At string
}

type channelRow struct {
	Name  string
	State standing
	// Counting tells that the numbers are still to come.
	Counting                                  bool
	Pending, Synced, Rejected, Unlinked, Gone int
	// Limit is what SocialHub's rate limit leaves, in words.
	Limit string
}

type sourceRow struct {
	Name, Adapter, Channel, Range   string
	State                           standing
	LastPoll, LastSuccess, NextPoll moment
	// Found is what the last poll found, in words.
	Found string
	Chart chart
}

// actionsRow counts the actions of a channel's team.
type actionsRow struct {
	Channel                                             string
	UnderWay, Confirmed, Reported, Uncertain, Dismissed int
}

// stuckRow is an action that needs a person.
type stuckRow struct {
	Key, Channel, Source, Type, Item, State, Reason string
	Done                                            moment
}

type problemRow struct{ Channel, ID, Source, State, Reason string }

func (p *statusPage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), answerLimit)
	defer cancel()
	status := http.StatusOK
	v, err := p.view(ctx)
	if err != nil {
		p.log.Debug("status page", slog.Any("error", err))
		status, v = http.StatusServiceUnavailable, view{Down: true}
	}
	v.Style, v.Version, v.Now = template.CSS(style), p.version, at(time.Now(), time.Now().UTC().Format("15:04:05 UTC"))
	v.Still = r.URL.Query().Get("refresh") == "off"
	var page bytes.Buffer
	if err := pageTemplate.Execute(&page, v); err != nil {
		p.log.Error("status page", slog.Any("error", err))
		say(w, http.StatusInternalServerError, "the status page can't be shown; please report this")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = page.WriteTo(w) // nobody is left to tell
}

// view reads the store and puts everything into words.
func (p *statusPage) view(ctx context.Context) (view, error) {
	leave, err := p.reader.readers.enter(ctx)
	if err != nil {
		return view{}, err
	}
	defer leave()
	channels, sources, err := p.reader.read(ctx)
	if err != nil {
		return view{}, err
	}
	v, now, charts := view{Limit: problemLimit}, time.Now(), p.reader.charts.read(ctx)
	var limits map[string]socialhub.RateLimit
	if p.limits != nil {
		limits = p.limits()
	}
	for _, c := range channels {
		row := channelRowOf(c, limits[c.id])
		v.Channels = append(v.Channels, row)
		v.note("Channel", row.Name, row.State)
	}
	for _, s := range sources {
		row := sourceRowOf(s, now, charts)
		if s.Backfill != "" {
			v.Backfills = append(v.Backfills, row)
			continue
		}
		v.Sources = append(v.Sources, row)
		v.note("Source", row.Name, row.State)
	}
	for _, c := range channels {
		for _, state := range []store.State{store.Rejected, store.Held, store.Unlinked} {
			tickets, err := p.reader.store.Problems(ctx, c.id, state, problemLimit)
			if err != nil {
				return view{}, err
			}
			for _, t := range tickets {
				v.Problems = append(v.Problems, problemRow{c.name, t.NetworkItemID, t.Source, string(t.State), cut(t.Reason)})
			}
		}
	}
	return v, p.actions(ctx, &v, channels, now)
}

// actions adds what the team did in SocialHub.
func (p *statusPage) actions(ctx context.Context, v *view, channels []channel, now time.Time) error {
	for _, c := range channels {
		if row := actionsRowOf(c); row != (actionsRow{Channel: c.name}) {
			v.Actions = append(v.Actions, row)
		}
		stuck, err := p.reader.store.StuckActions(ctx, c.id, problemLimit)
		if err != nil {
			return err
		}
		for _, a := range stuck {
			v.Stuck = append(v.Stuck, stuckRow{
				Key: a.Key, Channel: c.name, Source: a.Source, Type: a.Type, Item: a.NetworkItemID, State: string(a.State),
				Reason: cut(a.Reason), Done: past(a.Time, now),
			})
		}
		if len(stuck) > 0 {
			v.Troubles = append(v.Troubles, trouble{"Channel", c.name, "actions need a person", "stuck"})
		}
	}
	return nil
}

func actionsRowOf(c channel) actionsRow {
	n := c.actions
	return actionsRow{
		Channel: c.name, UnderWay: n[store.ActionReceived] + n[store.ActionPerforming] + n[store.ActionPerformed] + n[store.ActionFailed],
		Confirmed: n[store.ActionConfirmed], Reported: n[store.ActionReported], Uncertain: n[store.ActionUncertain], Dismissed: n[store.ActionDismissed],
	}
}

func (v *view) note(what, name string, s standing) {
	if s.Trouble {
		v.Troubles = append(v.Troubles, trouble{what, name, s.Word, strings.ToLower(what) + "-" + name})
	}
}

func channelRowOf(c channel, limit socialhub.RateLimit) channelRow {
	return channelRow{
		Name: c.name, State: channelStanding(c), Counting: !c.counted,
		Pending: c.counts[store.Pending], Synced: c.counts[store.Synced], Rejected: c.counts[store.Rejected],
		Unlinked: c.counts[store.Unlinked], Gone: c.counts[store.Gone],
		Limit: limitWords(limit),
	}
}

func sourceRowOf(s source, now time.Time, charts history) sourceRow {
	row := sourceRow{
		Name: s.Source, Adapter: s.Adapter, Channel: s.channel, Range: rangeWords(s.Backfill), State: sourceStanding(s.SourceStatus, now),
		LastPoll: past(s.LastPoll, now), LastSuccess: past(s.LastSuccess, now), NextPoll: nextPoll(s.SourceStatus, now),
		Found: foundWords(s.SourceStatus), Chart: chart{Counting: true},
	}
	if charts != nil {
		row.Chart = chartOf(charts[s.PollKey], now)
	}
	if s.Backfill != "" {
		row.State = backfillStanding(s.SourceStatus)
	}
	if s.LastError != "" && row.State.Said != "" {
		row.State.Failed = row.LastPoll
	}
	return row
}
