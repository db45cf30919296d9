// Package sandbox is a stand-in for SocialHub: an [http.Handler] that answers as the documented API
// does (1.15), keeps the tickets in memory and shows them on an inbox page. It serves the demo, the tests
// and the benchmark; nothing in it talks to the real SocialHub.
//
// A request goes: token → rate limit → fault, if one is wanted → route → latency → answer. [New] makes the
// [Server], [Server.AddChannel] a channel and its access token, [Server.Tickets] and [Server.Requests] tell what
// came in, and a browser sees the same under /ui/.
//
// # What it emulates
//
//   - access tokens: a JWT (HS256) with accountId, channelId and iat in the query parameter accesstoken; one
//     that is missing, unknown or replaced answers 401, that of a deactivated channel 403
//   - GET /: the channel and its manifest (no manifest for channels of reusable manifests)
//   - POST /inbox/tickets: 201 with the ticket, 409 for a networkItemId that is in use, hidden tickets for
//     unknown roots
//   - PATCH /inbox/tickets/:ticketId?reset=true: partial update, back from Done to the inbox
//   - every rule for the fields, checked on the raw JSON: wrong types, unknown fields and fields that the
//     route doesn't take answer 400 and name the field
//   - PATCH /manifest: what the body has replaces what is there; a new webhook gets its test request first (422 if that
//     fails), one that answers without the right challenge is removed, as by a new token
//   - the team: [Server.Act] and the page make actions, whose signed events go to the webhook, four tries within half a
//     minute; POST …/success gives a reply its ticket, POST …/reset tells the team that an action failed. The page offers
//     what the manifest has, asks for templates with a signed request, and shows how far each action is
//   - a rate limit per channel, its headers on every answer, 429 with Retry-After
//   - 404 for every other route and method, in JSON
//   - trouble on demand: lost answers, resets, 5xx, hangs and more, see [Fault]
//
// # What the documentation leaves open
//
//   - A POST for an item that exists only as a hidden root: 409 ("unique in the channel"), or filled in and moved
//     to the inbox with [Options.FillHiddenRoots].
//   - Whether a PATCH needs a content field: it has "the same rules as creation", so one of message, pictures,
//     attachments, link and rating must be there, though it may be empty; [Options.LoosePatch] lifts that.
//     A creation needs one that isn't empty.
//   - "Our own post does not show as unread": such a ticket goes to Done, is never unread and has [Ticket.Own]. A
//     PATCH with reset=true moves it to the inbox as the text says, still not unread.
//   - reset=true on a hidden ticket: it stays hidden. An item that names itself as root gets no second ticket.
//   - What of an interactor a PATCH changes: its fields one by one, as the id can't be sent; name is required.
//   - null is a wrong type for every field; an interactor's empty name and an empty address are refused. Addresses
//     must be http or https with a host, times are RFC 3339 with a zone (ISO 8601 allows more). "type" is refused for a channel that
//     is not of a reusable manifest ([ChannelOptions.Reusable]).
//   - SocialHub's own view of root and interactor: root.rootId becomes the root's _id, interactor.interactorId an
//     id made from the account and the network's id.
//   - A Content-Type other than application/json answers 400; a body above [Options.MaxBody] answers 413, a status
//     that SocialHub doesn't list.
//   - The rate limit's size and window: [Options.RateLimit]; the window is fixed and begins with its first request.
//   - Which check comes first: unknown route, token, deactivated channel, body; one fault is named at a time.
//   - A webhook may be plain http on this machine.
//   - Below PATCH /manifest a member of the body replaces the whole member: "inbox" is not merged.
//   - An action's timeout is a duration as Go writes it, from the item's createdTime; approvalProcess and forceTagging
//     change nothing. A button or a delete that the webhook took is sent: nothing more is heard of one that works.
//   - A template's variables are all needed. Of their JSON schemas the page reads type, title, description, enum and default.
//   - The page and its requests are the sandbox's own: no limit, fault or log counts them.
//
// # What it doesn't do
//
// No channel routes (they answer 404), no HTTPS of its own, no storage: a restart is empty, though [ChannelOptions] can keep ids and tokens the same. Fractions of a byte in an
// attachment's size are dropped.
package sandbox
