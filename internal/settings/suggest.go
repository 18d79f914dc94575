package settings

import (
	"slices"
	"strings"
)

// suggest is the end of a sentence about a word that nobody knows: which known ones it may be.
// before stands in front of each of them.
func suggest(word string, known []string, before string) string {
	near := closest(word, known)
	if len(near) == 0 {
		return ""
	}
	return ": did you mean " + before + strings.Join(near, " or "+before) + "?"
}

// closest gives up to three of the known words that are like this one, the best first.
func closest(word string, known []string) []string {
	const most, maxWord = 3, 64
	if word == "" || len(word) > maxWord {
		return nil
	}
	type candidate struct {
		word string
		far  int
	}
	var found []candidate
	lower := strings.ToLower(word)
	for _, k := range known {
		far := distance(lower, strings.ToLower(k))
		switch {
		case far <= max(1, min(len(word), len(k))/3):
		case len(word) >= 3 && strings.Contains(strings.ToLower(k), lower):
			far = maxWord // behind those that are misspelt
		default:
			continue
		}
		found = append(found, candidate{k, far})
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return a.far - b.far })
	var words []string
	for _, c := range found {
		if len(words) < most {
			words = append(words, c.word)
		}
	}
	return words
}

// distance is how many letters must be changed, added or left out (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
