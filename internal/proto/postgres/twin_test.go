package postgres

import (
	"strconv"
	"testing"
)

func TestTextsThatHaveATwinAreRememberedLongest(t *testing.T) {
	var all twins
	kept := &prepared{sent: "kept"}
	kept.twin = &twin{of: kept}
	all.remember("kept", kept)
	for i := range 10 * maxTexts {
		all.remember(strconv.Itoa(i), &prepared{})
		if len(all.texts) > maxTexts || all.texts["kept"] != kept || all.texts[strconv.Itoa(i)] == nil {
			t.Fatalf("after %d texts %d are remembered", i+1, len(all.texts))
		}
	}
	for i := range 2 * maxTexts {
		p := &prepared{}
		p.twin = &twin{of: p}
		all.remember("twin "+strconv.Itoa(i), p)
	}
	if len(all.texts) != maxTexts {
		t.Errorf("%d texts are remembered", len(all.texts))
	}
}
