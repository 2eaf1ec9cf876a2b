package ssh

import "golang.org/x/crypto/ssh"

// algorithms are what the gateway speaks on both sides. All ciphers are AEADs or
// counter mode under encrypt-then-MAC: the prefix truncation of CVE-2023-48795
// works on none of them, also with peers that do not know strict key exchange
// (which the library negotiates with those that do).
func algorithms() ssh.Config {
	return ssh.Config{
		KeyExchanges: []string{ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519, ssh.KeyExchangeECDHP256},
		Ciphers:      []string{ssh.CipherAES128GCM, ssh.CipherAES256GCM, ssh.CipherAES256CTR},
		MACs:         []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM},
	}
}

// signatures are the algorithms of keys and certificates that may prove anything.
func signatures() []string {
	return []string{ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
		ssh.KeyAlgoSKECDSA256, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
}
