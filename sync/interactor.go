package sync

// InteractorOf returns the interactorId in content that waits in the store, or an empty text if it has none.
func InteractorOf(stored string) string {
	p, err := decodePayload(stored)
	if err != nil || p.Interaction.Interactor == nil {
		return ""
	}
	return p.Interaction.Interactor.InteractorID
}
