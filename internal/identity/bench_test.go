package identity_test

import (
	"fmt"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// BenchmarkIdentify verifies a token that was not seen before.
func BenchmarkIdentify(b *testing.B) {
	for _, algorithm := range []string{"RS256", "ES256", "EdDSA"} {
		b.Run(algorithm, func(b *testing.B) {
			w := newWorld(b, algorithm)
			// More tokens than the cache holds, in a circle: every one is a miss.
			tokens := make([]gate.Secret, min(b.N, 5000))
			for i := range tokens {
				c := w.claims()
				c.ID = fmt.Sprint(i)
				tokens[i] = gate.NewSecret(w.mint(c))
			}
			w.accepts(w.mint(w.claims()))
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				if _, err := w.verifier.Identify(b.Context(), tokens[i%len(tokens)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkIdentifyAgain verifies a token that is remembered.
func BenchmarkIdentifyAgain(b *testing.B) {
	w := newWorld(b, "RS256")
	token := gate.NewSecret(w.mint(w.claims()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.verifier.Identify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRefuse refuses what an attacker can send at no cost.
func BenchmarkRefuse(b *testing.B) {
	f := newForger(b)
	f.accepts(f.with(nil))
	unknown := gate.NewSecret(f.with(claims{"iss": "https://evil.example"}))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.verifier.Identify(b.Context(), unknown); err == nil {
			b.Fatal("accepted")
		}
	}
}
