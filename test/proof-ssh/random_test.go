package sshproof_test

import "math/rand/v2"

// random is a text of bytes that no compression makes smaller, the same each time.
func random(n int) string {
	r := rand.NewChaCha8([32]byte{1})
	b := make([]byte, n)
	_, _ = r.Read(b) // it never fails
	return string(b)
}
