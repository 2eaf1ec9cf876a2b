package loop

// blockingTask is a goroutine that the runtime's poller serves.
type blockingTask struct{}

// Block implements gate.Task.
func (blockingTask) Block() {}

// Resume implements gate.Task.
func (blockingTask) Resume() {}
