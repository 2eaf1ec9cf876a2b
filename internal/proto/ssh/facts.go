package ssh

// Facts is what policies see of an SSH command as ssh.*. Equal pointers mean equal
// facts.
type Facts struct {
	// Kind is exec, shell, sftp, scp, rsync or tunnel.
	Kind string `cel:"kind"`
	// Login is the account at the host.
	Login string `cel:"login"`
	// Programs are the programs that an exec runs, in order, without repetition,
	// and Argv their simple commands, each as one quoted text.
	Programs []string `cel:"programs"`
	Argv     []string `cel:"argv"`
	// Reads, Writes and Paths are the places that are read, changed, or named in any
	// way, as the host resolves them: absolute, without symbolic links.
	Reads  []string `cel:"reads"`
	Writes []string `cel:"writes"`
	Paths  []string `cel:"paths"`
	// Unknown says what was not understood, for rules that hold such commands.
	Unknown []string `cel:"unknown"`
	// Operation is the SFTP operation, or read or write for scp.
	Operation string `cel:"operation"`
	// Hosts are METHOD host:port of what an exec reaches over the network (curl),
	// or the host:port or socket of a tunnel.
	Hosts []string `cel:"hosts"`
	// Terminal says that a pseudo-terminal is asked for.
	Terminal bool `cel:"terminal"`
}
