// Package socialhub is what SocialHub's API is to the rest of the program: the types of what is sent
// ([Interaction], [Update]), the limits and rules that SocialHub holds them to (Validate, [ValidItemID],
// [HTTPS] and others), the access token of a channel, which can't be printed ([Token]), and a [Client] that makes one
// request and says what its answer means ([Answer], [Outcome]). It never waits and never repeats.
package socialhub
