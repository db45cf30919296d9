// Package act does in the sources what the team did in SocialHub, and tells the team what came of it.
//
//	decide   what to do with an action found in the store, and what the outcome of a try means (decide.go)
//	perform  the call to the source, between two steps that are stored (perform.go, request.go, opened.go)
//	report   the callback to SocialHub and what its answer means (report.go, answers.go)
//	run      what is due is read and handed out, each source apart (runner.go, lanes.go)
//
// A reply is public and can't be taken back. So each step is stored before the next one begins, a try whose outcome is
// not known is repeated only where the source says that this is safe, and once a reply was posted nothing but its
// confirmation is tried again.
package act
