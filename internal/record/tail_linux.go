package record

import "syscall"

// mapTail allocates a tail's blocks and maps it. It returns nil where that cannot
// be done: the tail is written to then, which also tells why if the disk is full.
func mapTail(f file) []byte {
	c, ok := f.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	var mem []byte
	_ = raw.Control(func(fd uintptr) {
		if syscall.Fallocate(int(fd), 0, 0, tailLimit) != nil {
			return
		}
		mem, err = syscall.Mmap(int(fd), 0, tailLimit, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
		if err != nil {
			mem = nil
		}
	})
	return mem
}

func unmapTail(mem []byte) error { return syscall.Munmap(mem) }
