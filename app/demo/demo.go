// Package demo shows the program at work with nothing but itself: a sandbox in place of SocialHub, an embedded
// database, and two sources with content of these days, an export of a shop's reviews and the feed of a blog's
// comments. The team can answer the reviews: what it does comes back to the shop's files. Everything lies in a temporary
// folder and on this machine.
//
// [Open] lays it out and makes the config, which is enough for one round. [Demo.Start] adds the inbox page and the
// daemon, [Demo.Play] lets things happen at the sources, [Demo.Answer] what the team does, [Demo.Close] ends and removes
// everything.
package demo

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"socialhub-sync/app"
	"socialhub-sync/app/config"
	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sources"
	"socialhub-sync/sources/rss"
)

// DefaultEvery is how often the daemon polls: often, because somebody is watching.
const DefaultEvery = 2 * time.Second

// statusPort is the status page's, as in a config that names none.
const statusPort = "8080"

// Options are how to demonstrate.
type Options struct {
	// Every is how often the sources are polled, at least a second; 0 is [DefaultEvery].
	Every time.Duration
}

// Demo is one demonstration.
type Demo struct {
	// Config is the config that was written to the demo's folder.
	Config *config.Config
	// Box stands in for SocialHub; it has the two channels.
	Box *sandbox.Server
	// Inbox and Status are the addresses of the pages after [Demo.Start].
	Inbox, Status string

	every      time.Duration
	dir        string
	content    content
	feed       feed
	backstage  string
	hooks      hooks
	secret     string
	shop, blog sandbox.Channel
	app        *app.App
	cleanups   []func() error
	// pause waits for a while in the story, or until ctx is done.
	pause func(ctx context.Context, d time.Duration)
}

// Open lays everything out: the folder, the two sources, the sandbox and the config. If it fails, nothing is left.
func Open(o Options) (d *Demo, err error) {
	d = &Demo{every: cmp.Or(o.Every, DefaultEvery), pause: pause, secret: rand.Text() + rand.Text()}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("lay out the demo: %w", err), d.Close())
		}
	}()
	if d.dir, err = os.MkdirTemp("", "socialhub-sync-demo-"); err != nil {
		return nil, err
	}
	d.later(func() error { return os.RemoveAll(d.dir) })
	if d.content, err = newContent(time.Now()); err != nil {
		return nil, err
	}
	if err := d.layOut(); err != nil {
		return nil, err
	}
	return d, d.configure("")
}

// layOut makes the sources and the sandbox.
func (d *Demo) layOut() error {
	reviews, err := d.content.fill("reviews.jsonl", nil)
	if err != nil {
		return err
	}
	if err := os.WriteFile(d.Reviews(), reviews, 0o600); err != nil {
		return err
	}
	if err := d.publish(false); err != nil {
		return err
	}
	d.Box = sandbox.New(sandbox.Options{})
	d.later(d.Box.Close)
	// The ids are the same in every run, so that a page that is still open goes on.
	if d.shop, err = d.Box.AddChannel(sandbox.ChannelOptions{
		ID: "5b0000000000000000000011", Name: "Shop reviews", UniqueName: "Nordlicht Shop", NetworkID: "nordlicht-shop",
	}); err != nil {
		return err
	}
	if d.blog, err = d.Box.AddChannel(sandbox.ChannelOptions{
		ID: "5b0000000000000000000012", Name: "Blog comments", UniqueName: "Nordlicht Journal",
	}); err != nil {
		return err
	}
	// The daemon's own way to the sandbox, whatever address people have for the page.
	backstage := http.NewServeMux()
	backstage.Handle("/comments.xml", &d.feed)
	backstage.Handle("/webhook/", &d.hooks)
	backstage.Handle("/", d.Box)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	d.backstage = "http://" + listener.Addr().String()
	d.serve(listener, backstage)
	return nil
}

// publish puts the blog's comments online, with the late one or without.
func (d *Demo) publish(late bool) error {
	body, err := d.content.fill("comments.xml", struct{ Late bool }{late})
	if err == nil {
		d.feed.set(body)
	}
	return err
}

// configure writes the config and reads it the way the program does.
func (d *Demo) configure(listen string) error {
	file := filepath.Join(d.dir, "config.yaml")
	text, err := d.content.fill("config.yaml", struct {
		Database, APIURL, Listen, PublicURL, Secret, ShopToken, BlogToken, FeedURL string
		Every                                                                      time.Duration
	}{
		"sqlite:" + filepath.Join(d.dir, "demo.db"), d.backstage, listen, d.backstage, d.secret, d.shop.Token, d.blog.Token,
		d.backstage + "/comments.xml", d.every,
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	adapters := []sources.Adapter{newShop(), rss.New()}
	d.Config, err = config.Load(file, adapters, func(string) (string, bool) { return "", false })
	return err
}

// Reviews is the file that the first source reads, and to which it appends what the team does.
func (d *Demo) Reviews() string { return filepath.Join(d.dir, "reviews.jsonl") }

// Start opens the inbox page on an address and runs the daemon, with its status page on port 8080 of the same
// host, or any free one if listen has port 0. An address that can't be had is replaced by a free port, and notes
// says so. If it fails, call [Demo.Close] all the same.
func (d *Demo) Start(ctx context.Context, listen string, log *slog.Logger) (notes []string, err error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, fmt.Errorf("open the inbox page: %w", err)
	}
	free, status := net.JoinHostPort(host, "0"), net.JoinHostPort(host, statusPort)
	if port == "0" {
		status = free
	}
	page, err := net.Listen("tcp", listen)
	if taken := err; taken != nil {
		if page, err = net.Listen("tcp", free); err != nil {
			return nil, fmt.Errorf("open the inbox page: %w", taken)
		}
		notes = append(notes, fmt.Sprintf("The inbox page is on a free port: %v.", taken))
	}
	d.Inbox = pageURL(page.Addr().String()) + "ui/"
	d.serve(page, d.Box)
	if taken := d.bind(status, log); taken != nil {
		if d.bind(free, log) != nil {
			return nil, taken
		}
		notes = append(notes, fmt.Sprintf("The status page is on a free port: %v.", errors.Unwrap(taken)))
	}
	d.Status = pageURL(d.app.Addr())
	d.hooks.leadTo(d.Status)
	d.later(d.hooks.close)
	if err := d.app.Start(ctx); err != nil {
		return nil, err
	}
	d.later(func() error { return d.app.Stop(context.WithoutCancel(ctx)) })
	return notes, nil
}

// bind makes the daemon with its status page on an address.
func (d *Demo) bind(listen string, log *slog.Logger) (err error) {
	if err := d.configure(listen); err != nil {
		return err
	}
	d.app, err = app.New(d.Config, log)
	return err
}

// pageURL is the address of a page for a browser on this machine.
func pageURL(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		address = net.JoinHostPort("localhost", port)
	}
	return "http://" + address + "/"
}

// serve answers on a listener until the demo is closed.
func (d *Demo) serve(listener net.Listener, handler http.Handler) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	d.later(func() error {
		err := server.Close()
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	})
}

func (d *Demo) later(cleanup func() error) { d.cleanups = append(d.cleanups, cleanup) }

// Close ends everything, the last begun first, and removes the folder.
func (d *Demo) Close() error {
	var errs []error
	for _, cleanup := range slices.Backward(d.cleanups) {
		errs = append(errs, cleanup())
	}
	d.cleanups = nil
	return errors.Join(errs...)
}
