package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// A fault strikes the next `Times` calls whose text ("POST /rest/…?~action=copy$") contains `Call`.
type fault struct {
	Call    string  `json:"call"`
	Kind    string  `json:"kind"`
	Status  int     `json:"status"`
	Seconds float64 `json:"seconds"`
	Times   int     `json:"times"`
}

// control answers what tests ask of the stand-in itself.
func (s *strict) control(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.Method + " " + strings.TrimPrefix(r.URL.Path, "/_double/") {
	case "GET calls":
		_ = json.NewEncoder(w).Encode(s.calls)
	case "GET machines":
		_ = json.NewEncoder(w).Encode(s.machines())
	case "POST faults":
		rules := []*fault{}
		if err := json.NewDecoder(r.Body).Decode(&rules); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.faults = append(s.faults, rules...)
	case "DELETE faults":
		s.faults = nil
	default:
		http.NotFound(w, r)
	}
}

// strike notes a call and takes one stroke of the first rule for it; nil if there is none.
func (s *strict) strike(r *http.Request) *fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	call := r.Method + " " + r.URL.RequestURI() + "$"
	s.calls = append(s.calls, call)
	for _, rule := range s.faults {
		if rule.Times > 0 && strings.Contains(call, rule.Call) {
			rule.Times--
			return rule
		}
	}
	return nil
}

// apply does what a fault says; true if the call is over.
func (f *fault) apply(w http.ResponseWriter) bool {
	switch f.Kind {
	case "error":
		refuse(w, f.Status, "com.vmware.vapi.std.errors.error", "a fault that was asked for")
		return true
	case "reset":
		panic(http.ErrAbortHandler)
	case "slow":
		time.Sleep(time.Duration(f.Seconds * float64(time.Second)))
	}
	return false
}
