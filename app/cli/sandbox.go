package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"socialhub-sync/socialhub/sandbox"
)

type sandboxCommand struct {
	Listen          string        `help:"Address to listen on." default:"127.0.0.1:8081"`
	NetworkID       string        `help:"networkId of the channel; posts by that interactor count as our own." placeholder:"ID"`
	FillHiddenRoots bool          `help:"A ticket for an item that exists only as an empty root is filled in, not refused with 409."`
	LoosePatch      bool          `help:"An update may leave all of message, pictures, attachments, link and rating out."`
	RateLimit       int           `help:"Requests per minute; 0 is no limit." default:"0"`
	Latency         time.Duration `help:"Delay of every answer." default:"0s"`
	Faults          string        `help:"Trouble to make, as kind:probability,…; kinds: ${faults}." placeholder:"LIST"`
	Seed            uint64        `help:"Seed of the faults; the same seed makes the same trouble." default:"1"`
}

func (cmd *sandboxCommand) Run(e *env) error {
	if _, _, err := net.SplitHostPort(cmd.Listen); err != nil {
		return usage("--listen: %v; write HOST:PORT", err)
	}
	faults, err := sandbox.ParseFaults(cmd.Faults, cmd.Seed)
	if err != nil {
		return usage("--faults: %v", err)
	}
	box := sandbox.New(sandbox.Options{
		FillHiddenRoots: cmd.FillHiddenRoots, LoosePatch: cmd.LoosePatch, Latency: cmd.Latency, Faults: faults,
		RateLimit: sandbox.RateLimit{Requests: cmd.RateLimit, Window: time.Minute},
	})
	defer box.Close()
	channel, err := box.AddChannel(sandboxChannel(cmd.NetworkID))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", cmd.Listen)
	if err != nil {
		return fmt.Errorf("%w; choose another address with --listen", err)
	}
	url := "http://" + listener.Addr().String()
	fmt.Fprintf(e.Out, "Sandbox at %s, inbox page at %s/ui/\n\napi_url: %s\naccess_token: %s\n\nCtrl-C stops it.\n", url, url, url, channel.Token)
	return serve(e.ctx, listener, box)
}

// faultKinds lists what --faults knows.
func faultKinds() string {
	var names []string
	for _, k := range sandbox.Kinds {
		names = append(names, string(k))
	}
	return strings.Join(names, " ")
}

// sandboxChannel is the same in every run, so that a token copied into a config goes on working.
func sandboxChannel(networkID string) sandbox.ChannelOptions {
	return sandbox.ChannelOptions{
		ID: "5b0000000000000000000001", AccountID: "5b0000000000000000000002", IssuedAt: time.Unix(1700000000, 0),
		Name: "Sandbox", UniqueName: "Sandbox", NetworkID: networkID,
	}
}

// serve answers until ctx is done.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
