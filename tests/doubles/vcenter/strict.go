package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
)

const (
	rest       = "/rest/com/vmware/"
	items      = rest + "content/library/item"
	itemFiles  = items + "/file"
	updates    = items + "/update-session"
	downloads  = items + "/download-session"
	addedFiles = items + "/updatesession/file"
	exports    = rest + "vcenter/ovf/library-item"
	prepared   = items + "/downloadsession/file"
	data       = rest + "cis/data/"
	header     = "vmware-api-session-id"

	alreadyExists = "com.vmware.vapi.std.errors.already_exists"
	busy          = "com.vmware.vapi.std.errors.resource_busy"
	notAllowed    = "com.vmware.vapi.std.errors.not_allowed_in_current_state"

	// Time passes by looking: so many answers tell that work still goes on.
	pendingReads = 2
)

// strict stands before the simulator and adds what it leaves out.
type strict struct {
	mu        sync.Mutex
	inner     http.Handler
	machines  func() []machine
	token     string
	sessions  map[string]*session
	uploads   map[string]*upload           // by the path that a client puts to
	hidden    map[string]*content          // items whose files are not to be seen yet
	answers   map[string]recorded          // by client token
	contents  map[string]map[string][]byte // files by item and name, as they came: the simulator keeps disks in pieces
	downloads map[string]string            // items by download session
	preparing map[string]*preparation      // files to be downloaded, by session and name
	faults    []*fault
	calls     []string
}

// A session is an update session: changes of one item that become visible together, or not at all.
type session struct {
	item    string
	state   string
	message string
	reads   int
	files   []*upload
}

// An upload is a file of a session as it was announced.
type upload struct {
	session  *session
	name     string
	size     int64
	checksum string
	body     []byte // nil until it is there as announced
}

// Content that is being copied: visible after some reads, or rolled back.
type content struct {
	reads    int
	rollback bool
}

// A preparation is a file that can be downloaded after some reads, and what tells its address then.
type preparation struct {
	reads  int
	answer []byte
}

type recorded struct {
	status int
	body   []byte
}

func newStrict(inner http.Handler) *strict {
	return &strict{
		inner:     inner,
		sessions:  map[string]*session{},
		uploads:   map[string]*upload{},
		hidden:    map[string]*content{},
		answers:   map[string]recorded{},
		contents:  map[string]map[string][]byte{},
		downloads: map[string]string{},
		preparing: map[string]*preparation{},
	}
}

func (s *strict) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_double/") {
		s.control(w, r)
		return
	}
	if !strings.HasPrefix(r.URL.Path, rest) {
		s.inner.ServeHTTP(w, r)
		return
	}
	rule := s.strike(r)
	if rule != nil && rule.apply(w) {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client is gone, and so is what it wanted to send
	}
	s.mu.Lock()
	answer := s.once(r, body, rule)
	s.mu.Unlock()
	if rule != nil && rule.Kind == "after" {
		panic(http.ErrAbortHandler)
	}
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	content := answer.Body.Bytes()
	if bytes.Equal(bytes.TrimSpace(content), []byte(`{"value":null}`)) {
		content = []byte(`{"value":[]}`) // as vCenter writes an empty list
		w.Header().Del("Content-Length")
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(content)
}

// once gives a client token the answer that it had before.
func (s *strict) once(r *http.Request, body []byte, rule *fault) *httptest.ResponseRecorder {
	var told struct {
		Token string `json:"client_token"`
	}
	_ = json.Unmarshal(body, &told)
	if known, ok := s.answers[told.Token]; ok && told.Token != "" {
		answer := httptest.NewRecorder()
		answer.WriteHeader(known.status)
		_, _ = answer.Write(known.body)
		return answer
	}
	answer := s.route(r, body, rule)
	if told.Token != "" && answer.Code == http.StatusOK {
		s.answers[told.Token] = recorded{answer.Code, answer.Body.Bytes()}
	}
	return answer
}

func (s *strict) route(r *http.Request, body []byte, rule *fault) *httptest.ResponseRecorder {
	action := r.URL.Query().Get("~action")
	path, id, _ := strings.Cut(r.URL.Path, "/id:")
	if !s.known(r) {
		return s.pass(r, body)
	}
	switch {
	case strings.HasPrefix(r.URL.Path, data) && r.Method == http.MethodPut:
		return s.receive(r, body)
	case strings.HasPrefix(r.URL.Path, data):
		return s.give(r)
	case path == downloads && r.Method == http.MethodPost && id == "":
		return s.download(r, body)
	case path == prepared && (action == "prepare" || action == "get"):
		return s.prepare(r, id, action, body)
	case path == items && r.Method == http.MethodPost && action == "":
		return s.create(r, body)
	case path == items && r.Method == http.MethodPatch:
		return s.rename(r, id, body)
	case path == items && action == "copy":
		return s.copy(r, id, body, rule)
	case path == items && r.Method == http.MethodGet && id != "":
		return s.look(r, id)
	case path == itemFiles && r.Method == http.MethodGet:
		return s.files(r)
	case path == updates && r.Method == http.MethodPost && id == "":
		return s.open(r, body)
	case path == updates && id != "":
		return s.update(r, id, action, body)
	case path == addedFiles && action == "add":
		return s.announce(r, id, body)
	case path == exports && r.Method == http.MethodPost && id == "":
		return s.export(r, body)
	}
	return s.pass(r, body)
}

// known asks the simulator whether a request comes with a session; it answers the others itself.
func (s *strict) known(r *http.Request) bool {
	probe := httptest.NewRequest(http.MethodPost, rest+"cis/session?~action=get", nil)
	probe.Header.Set(header, r.Header.Get(header))
	answer := httptest.NewRecorder()
	s.inner.ServeHTTP(answer, probe)
	return answer.Code == http.StatusOK
}

// pass lets the simulator answer.
func (s *strict) pass(r *http.Request, body []byte) *httptest.ResponseRecorder {
	inner := r.Clone(r.Context())
	inner.Body = io.NopCloser(bytes.NewReader(body))
	answer := httptest.NewRecorder()
	s.inner.ServeHTTP(answer, inner)
	return answer
}

// ask calls the simulator for ourselves and gives the value of its answer.
func (s *strict) ask(method, path string, body, value any) int {
	content, err := json.Marshal(body)
	must(err)
	request := httptest.NewRequest(method, path, bytes.NewReader(content))
	request.Header.Set(header, s.token)
	answer := httptest.NewRecorder()
	s.inner.ServeHTTP(answer, request)
	if value != nil {
		_ = json.Unmarshal(answer.Body.Bytes(), &struct {
			Value any `json:"value"`
		}{value})
	}
	return answer.Code
}

func (s *strict) login(user, password string) {
	request := httptest.NewRequest(http.MethodPost, rest+"cis/session", nil)
	request.SetBasicAuth(user, password)
	answer := httptest.NewRecorder()
	s.inner.ServeHTTP(answer, request)
	must(json.Unmarshal(answer.Body.Bytes(), &struct {
		Value *string `json:"value"`
	}{&s.token}))
}

func (s *strict) createLibrary(name, datastore string) {
	type backing struct {
		Datastore string `json:"datastore_id"`
		Type      string `json:"type"`
	}
	spec := map[string]any{
		"name": name, "type": "LOCAL", "storage_backings": []backing{{datastore, "DATASTORE"}},
	}
	s.ask(http.MethodPost, rest+"content/local-library", map[string]any{"create_spec": spec}, nil)
}

// refuse answers as vCenter does: an error's type and a message.
func refuse(w http.ResponseWriter, status int, kind, message string) {
	w.WriteHeader(status)
	messages := []map[string]any{{"id": kind, "default_message": message, "args": []string{}}}
	_ = json.NewEncoder(w).Encode(map[string]any{"type": kind, "value": map[string]any{"messages": messages}})
}

func refusal(status int, kind, message string) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	refuse(answer, status, kind, message)
	return answer
}

func reply(value any) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	_ = json.NewEncoder(answer).Encode(map[string]any{"value": value})
	return answer
}

func query(path string, values map[string]string) string {
	encoded := url.Values{}
	for name, value := range values {
		encoded.Set(name, value)
	}
	return path + "?" + encoded.Encode()
}
