package sandbox

import (
	"slices"
	"sync"
	"time"

	"socialhub-sync/socialhub"
)

// Folder is where the team sees a ticket.
type Folder string

// The folders. Hidden has the empty roots that SocialHub made by itself.
const (
	FolderInbox  Folder = "inbox"
	FolderDone   Folder = "done"
	FolderHidden Folder = "hidden"
)

// Folders are all folders in the order in which they are shown.
var Folders = []Folder{FolderInbox, FolderDone, FolderHidden}

// maxRevisions is how many revisions of a ticket are kept at most; the older half goes when there are more.
const maxRevisions = 1000

// Ticket is a copy of a ticket as it was when it was asked for.
type Ticket struct {
	// ID is SocialHub's _id.
	ID     string
	Folder Folder
	// Unread is true in the inbox, but not for our own posts.
	Unread bool
	// Own marks a post by the channel itself: its interactorId is the channel's networkId.
	Own bool
	// Reopened says that the last move was an update with reset=true that took it out of Done.
	Reopened bool
	// Received is when the sandbox made the ticket, Changed when anything about it last changed.
	Received, Changed time.Time
	// UpdatedTime is what the last update said that had one.
	UpdatedTime time.Time
	// Interaction is the content as it was sent, with the network's own ids.
	Interaction socialhub.Interaction
	// RootID is the _id of the root's ticket; empty without a root.
	RootID string
	// Revisions are the accepted requests in order, at least the last 500; treat them as read-only.
	Revisions []Revision
}

// Revision is one accepted POST or PATCH of a ticket.
type Revision struct {
	Time   time.Time
	Method string
	// Reset says that a PATCH had reset=true.
	Reset bool
	// Body is the request's body as it came; nil with [Options.NoBodies].
	Body []byte
}

// ticket is a stored ticket and its neighbours in its folder.
type ticket struct {
	Ticket
	newer, older *ticket
}

// folder is a list of tickets by activity.
type folder struct {
	newest, oldest *ticket
	count          int
}

func (f *folder) push(t *ticket) {
	t.newer, t.older = nil, f.newest
	if f.newest != nil {
		f.newest.newer = t
	} else {
		f.oldest = t
	}
	f.newest = t
	f.count++
}

func (f *folder) remove(t *ticket) {
	if t.newer != nil {
		t.newer.older = t.older
	} else {
		f.newest = t.older
	}
	if t.older != nil {
		t.older.newer = t.newer
	} else {
		f.oldest = t.newer
	}
	f.count--
}

// store is a channel's tickets. Its critical sections do no JSON and no I/O.
type store struct {
	mu      sync.Mutex
	byItem  map[string]*ticket
	byID    map[string]*ticket
	all     []*ticket
	folders map[Folder]*folder
	// answers are our own posts by the _id of their root.
	answers map[string][]*ticket
	// version counts changes, for the page.
	version uint64
}

func (s *store) init() {
	s.byItem, s.byID = map[string]*ticket{}, map[string]*ticket{}
	s.answers = map[string][]*ticket{}
	s.folders = map[Folder]*folder{FolderInbox: {}, FolderDone: {}, FolderHidden: {}}
}

// creation is a POST that passed the checks.
type creation struct {
	id, hiddenID string // new ids, for the ticket and for its root should it need one
	item         socialhub.Interaction
	own, fill    bool
	revision     Revision
}

// create makes the ticket, and a hidden one for an unknown root; false means that the item has a ticket.
func (s *store) create(c *creation) (Ticket, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.byItem[c.item.NetworkItemID]
	switch {
	case t == nil:
		t = &ticket{Ticket: Ticket{ID: c.id, Received: c.revision.Time}}
	case t.Folder == FolderHidden && c.fill:
		s.folders[FolderHidden].remove(t)
	default:
		return Ticket{}, false
	}
	t.Own, t.Interaction = c.own, c.item
	t.Folder = FolderInbox
	if c.own {
		t.Folder = FolderDone
	}
	t.record(c.revision)
	s.keep(t)
	if root := c.item.Root; root != nil {
		t.RootID = s.root(root.RootID, c.hiddenID, c.revision.Time).ID
		if t.Own && t.RootID != t.ID {
			s.answers[t.RootID] = append(s.answers[t.RootID], t)
		}
	}
	return t.copy(), true
}

// root returns the ticket of a thread's first item, a new hidden one if there is none; mu is held.
func (s *store) root(itemID, hiddenID string, now time.Time) *ticket {
	if t := s.byItem[itemID]; t != nil {
		return t
	}
	t := &ticket{Ticket: Ticket{ID: hiddenID, Folder: FolderHidden, Received: now, Changed: now}}
	t.Interaction.NetworkItemID, t.Interaction.CreatedTime = itemID, now
	s.keep(t)
	return t
}

// keep puts a ticket that is in no folder at the top of its own; mu is held.
func (s *store) keep(t *ticket) {
	if s.byID[t.ID] == nil {
		s.byID[t.ID], s.byItem[t.Interaction.NetworkItemID] = t, t
		s.all = append(s.all, t)
	}
	t.Unread = t.Folder == FolderInbox && !t.Own
	s.folders[t.Folder].push(t)
	s.version++
}

// update changes what the PATCH carried; false means that there is no such ticket.
func (s *store) update(id string, c *change, rev Revision) (Ticket, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.byID[id]
	if t == nil {
		return Ticket{}, false
	}
	s.folders[t.Folder].remove(t)
	c.applyTo(&t.Interaction)
	if !c.updated.IsZero() {
		t.UpdatedTime = c.updated
	}
	if rev.Reset && t.Folder == FolderDone {
		t.Folder, t.Reopened = FolderInbox, true
	}
	t.record(rev)
	s.keep(t)
	return t.copy(), true
}

// find returns the ticket with an _id.
func (s *store) find(id string) (Ticket, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.byID[id]
	if t == nil {
		return Ticket{}, false
	}
	return t.copy(), true
}

// move is a person's doing: a ticket of the folder from goes to the folder to; false means there is none.
func (s *store) move(id string, from, to Folder, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.byID[id]
	if t == nil || t.Folder != from {
		return false
	}
	s.folders[from].remove(t)
	t.Folder, t.Reopened, t.Changed = to, false, now
	s.keep(t)
	return true
}

func (t *ticket) record(rev Revision) {
	if len(t.Revisions) >= maxRevisions {
		t.Revisions = slices.Clone(t.Revisions[maxRevisions/2:])
	}
	t.Revisions = append(t.Revisions, rev)
	t.Changed = rev.Time
}

// copy returns the ticket as it is. Its lists are shared, but never written to: they only grow or are replaced.
func (t *ticket) copy() Ticket {
	c := t.Ticket
	c.Revisions = slices.Clip(c.Revisions)
	return c
}

// Tickets returns the channel's tickets in the order in which they were made; nil if there is no such channel.
func (s *Server) Tickets(channelID string) []Ticket {
	c := s.find(channelID)
	if c == nil {
		return nil
	}
	c.tickets.mu.Lock()
	defer c.tickets.mu.Unlock()
	list := make([]Ticket, len(c.tickets.all))
	for i, t := range c.tickets.all {
		list[i] = t.copy()
	}
	return list
}

// Ticket returns the ticket of one item; false if it has none.
func (s *Server) Ticket(channelID, networkItemID string) (Ticket, bool) {
	c := s.find(channelID)
	if c == nil {
		return Ticket{}, false
	}
	c.tickets.mu.Lock()
	defer c.tickets.mu.Unlock()
	t := c.tickets.byItem[networkItemID]
	if t == nil {
		return Ticket{}, false
	}
	return t.copy(), true
}

// Done moves a ticket from the inbox to Done, as a member of the team does; false if it isn't in the inbox.
func (s *Server) Done(ticketID string) bool { return s.move(ticketID, FolderInbox, FolderDone) }

// Reopen moves a ticket from Done to the inbox, as a member of the team does; false if it isn't in Done.
func (s *Server) Reopen(ticketID string) bool { return s.move(ticketID, FolderDone, FolderInbox) }

func (s *Server) move(ticketID string, from, to Folder) bool {
	s.mu.Lock()
	channels := slices.Clone(s.channels)
	s.mu.Unlock()
	now := time.Now()
	return slices.ContainsFunc(channels, func(c *channel) bool { return c.tickets.move(ticketID, from, to, now) })
}
