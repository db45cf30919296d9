package demo

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
	"socialhub-sync/sources/jsonl"
)

// voucher is the one button that the shop knows.
const voucher = "voucher"

// newShop returns the adapter of the demo's shop: files of JSON lines, which take what the team does as lines of their own.
func newShop() sources.Adapter {
	return sources.Adapter{
		Name:     "shop",
		Summary:  "the demo's shop, two files of JSON lines",
		Settings: func() sources.Settings { return &shopSettings{} },
	}
}

// shopSettings say where the shop keeps things.
type shopSettings struct {
	Reviews  string `yaml:"reviews" doc:"Needed. The file of reviews, read as the adapter jsonl does; answers and deletions are appended to it."`
	Vouchers string `yaml:"vouchers" doc:"Needed. The file to which the vouchers are appended that the team sends."`
}

// Validate implements [sources.Settings].
func (s *shopSettings) Validate() error {
	var faults []error
	for key, path := range map[string]string{"reviews": s.Reviews, "vouchers": s.Vouchers} {
		if path == "" || path == "-" || strings.ContainsAny(path, "*?[") {
			faults = append(faults, &sources.SettingError{Key: key, Problem: "want the name of one file, relative to the config file"})
		}
	}
	return errors.Join(faults...)
}

// Open implements [sources.Settings].
func (s *shopSettings) Open(ctx context.Context, env sources.Env) (sources.Source, error) {
	reader, err := (&jsonl.Settings{Path: s.Reviews}).Open(ctx, env)
	if err != nil {
		return nil, err
	}
	in := func(name string) string {
		if filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(env.Dir, name)
	}
	return &shop{Source: reader, reviews: in(s.Reviews), vouchers: in(s.Vouchers)}, nil
}

// shop reads reviews and does what the team wants. Whatever it does is one line whose id is made of the action's key, so
// that doing it again finds it done.
type shop struct {
	sources.Source
	reviews, vouchers string

	// mu keeps one action's look at a file and its line together.
	mu sync.Mutex
}

var (
	_ sources.Replier       = (*shop)(nil)
	_ sources.ButtonPresser = (*shop)(nil)
	_ sources.Deleter       = (*shop)(nil)
	_ sources.Repeater      = (*shop)(nil)
	_ sources.Chooser       = (*shop)(nil)
)

// review is a line of the reviews as far as an action has to do with it.
type review struct {
	NetworkItemID string          `json:"networkItemId"`
	Own           bool            `json:"own,omitempty"`
	Deleted       bool            `json:"deleted,omitempty"`
	Message       string          `json:"message,omitempty"`
	CreatedTime   time.Time       `json:"createdTime,omitzero"`
	Root          *socialhub.Root `json:"root,omitempty"`
}

// sent is a line of the vouchers.
type sent struct {
	ID     string    `json:"id"`
	Review string    `json:"review"`
	Time   time.Time `json:"time"`
}

// lineID is the same for every try of an action.
func lineID(kind, key string) string {
	return fmt.Sprintf("%s-%x", kind, sha256.Sum256([]byte(key)))[:len(kind)+13]
}

// Reply implements [sources.Replier].
func (s *shop) Reply(ctx context.Context, r *sources.Reply) (sources.Posted, error) {
	switch {
	case len(r.Attachments) > 0:
		return sources.Posted{}, &sources.RefusedError{Reason: "the shop's answers have no files"}
	case strings.TrimSpace(r.Text) == "":
		return sources.Posted{}, &sources.RefusedError{Reason: "the answer has no text"}
	}
	answer := review{
		NetworkItemID: lineID("answer", r.Key), Own: true, Message: r.Text, CreatedTime: time.Now().UTC().Truncate(time.Second),
		Root: &socialhub.Root{RootID: cmp.Or(r.RootID, r.NetworkItemID)},
	}
	err := s.onReviews(ctx, func(known map[string]review) (any, error) {
		if before, ok := known[answer.NetworkItemID]; ok {
			answer.CreatedTime = before.CreatedTime
			return nil, nil
		}
		return &answer, there(known, r.NetworkItemID)
	})
	if err != nil {
		return sources.Posted{}, err
	}
	return sources.Posted{NetworkItemID: answer.NetworkItemID, CreatedTime: answer.CreatedTime}, nil
}

// Delete implements [sources.Deleter].
func (s *shop) Delete(ctx context.Context, a *sources.Action) error {
	return s.onReviews(ctx, func(known map[string]review) (any, error) {
		if there(known, a.NetworkItemID) != nil {
			return nil, nil
		}
		return &review{NetworkItemID: a.NetworkItemID, Deleted: true}, nil
	})
}

// PressButton implements [sources.ButtonPresser].
func (s *shop) PressButton(ctx context.Context, a *sources.Action) error {
	if a.ID != voucher {
		return &sources.RefusedError{Reason: "the shop has no button of this name"}
	}
	line := sent{ID: lineID(voucher, a.Key), Review: a.NetworkItemID, Time: time.Now().UTC().Truncate(time.Second)}
	return s.append(ctx, s.vouchers, func(f io.Reader) (any, error) {
		before := false
		err := eachLine(f, func(text []byte) {
			var one sent
			before = before || json.Unmarshal(text, &one) == nil && one.ID == line.ID
		})
		if before || err != nil {
			return nil, err
		}
		reviews, err := os.Open(s.reviews)
		if err != nil {
			return nil, err
		}
		defer reviews.Close()
		known, err := readReviews(reviews)
		if err != nil {
			return nil, err
		}
		return &line, there(known, a.NetworkItemID)
	})
}

// RepeatableFor implements [sources.Repeater].
func (s *shop) RepeatableFor(*sources.Action) time.Duration { return sources.Always }

// Can implements [sources.Chooser].
func (s *shop) Can(t socialhub.ActionType, actionID string) bool {
	return t != socialhub.ActionButton || actionID == voucher
}

// there refuses what is about a review that is not in the shop.
func there(known map[string]review, id string) error {
	if one, ok := known[id]; !ok || one.Deleted {
		return &sources.RefusedError{Reason: "the review is not in the shop any more"}
	}
	return nil
}

// onReviews appends a line to the reviews, made of what they say.
func (s *shop) onReviews(ctx context.Context, line func(known map[string]review) (any, error)) error {
	return s.append(ctx, s.reviews, func(f io.Reader) (any, error) {
		known, err := readReviews(f)
		if err != nil {
			return nil, err
		}
		return line(known)
	})
}

// readReviews reads the reviews without their texts: of the lines of one id the last that can be read.
func readReviews(f io.Reader) (map[string]review, error) {
	known := make(map[string]review)
	return known, eachLine(f, func(text []byte) {
		var one review
		if json.Unmarshal(text, &one) == nil {
			one.Message = ""
			known[one.NetworkItemID] = one
		}
	})
}

// append adds a line to a file, made of what is in it; nil is no line. It is written at once and with a line end
// before it if the last line has none: what was torn once spoils no other line. Until then an error means that nothing
// was done.
func (s *shop) append(ctx context.Context, path string, line func(io.Reader) (any, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return &sources.NotDoneError{Err: context.Cause(ctx)}
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return notDone(err)
	}
	defer f.Close()
	ended := &lastByte{r: f, last: '\n'}
	value, err := line(ended)
	if err != nil {
		return notDone(err)
	}
	if value == nil {
		return nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		return notDone(err)
	}
	text = append(text, '\n')
	if ended.last != '\n' {
		text = append([]byte{'\n'}, text...)
	}
	if _, err := f.Write(text); err != nil {
		return fmt.Errorf("append to the shop's file: %w", plain(err))
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write the shop's file: %w", plain(err))
	}
	return nil
}

// notDone marks an error after which nothing was done, if it is not marked already.
func notDone(err error) error {
	if sources.NotDone(err) {
		return err
	}
	return &sources.NotDoneError{Err: fmt.Errorf("read the shop's file: %w", plain(err))}
}

// plain is a system's error without the path.
func plain(err error) error {
	if system, ok := errors.AsType[*fs.PathError](err); ok {
		return system.Err
	}
	return err
}

// lastByte remembers the last byte that was read.
type lastByte struct {
	r    io.Reader
	last byte
}

func (l *lastByte) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if n > 0 {
		l.last = p[n-1]
	}
	return n, err
}

// eachLine calls take with every line of a file.
func eachLine(f io.Reader, take func(text []byte)) error {
	r := bufio.NewReader(f)
	for {
		text, err := r.ReadBytes('\n')
		take(bytes.TrimSpace(text))
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
