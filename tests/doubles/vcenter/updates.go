package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
)

// announced is the simulator's answer to a file that shall come.
type announced struct {
	Endpoint struct {
		URI string `json:"uri"`
	} `json:"upload_endpoint"`
}

func (a announced) path() string {
	parsed, err := url.Parse(a.Endpoint.URI)
	must(err)
	return parsed.Path
}

// open: one active session per item.
func (s *strict) open(r *http.Request, body []byte) *httptest.ResponseRecorder {
	var told struct {
		Spec struct {
			Item string `json:"library_item_id"`
		} `json:"create_spec"`
	}
	_ = json.Unmarshal(body, &told)
	if s.item(told.Spec.Item).ID == "" {
		return refusal(http.StatusNotFound, "com.vmware.vapi.std.errors.not_found", "no item "+told.Spec.Item)
	}
	for _, other := range s.sessions {
		if other.item == told.Spec.Item && other.state == "ACTIVE" {
			return refusal(http.StatusBadRequest, busy, "the item has an active update session")
		}
	}
	answer := s.pass(r, body)
	s.sessions[value(answer)] = &session{item: told.Spec.Item, state: "ACTIVE"}
	return answer
}

// announce remembers what a client says of a file.
func (s *strict) announce(r *http.Request, id string, body []byte) *httptest.ResponseRecorder {
	var told struct {
		Spec struct {
			Name     string `json:"name"`
			Size     int64  `json:"size"`
			Checksum struct {
				Algorithm string `json:"algorithm"`
				Checksum  string `json:"checksum"`
			} `json:"checksum_info"`
		} `json:"file_spec"`
	}
	_ = json.Unmarshal(body, &told)
	opened := s.sessions[id]
	if opened == nil || opened.state != "ACTIVE" {
		return refusal(http.StatusBadRequest, notAllowed, "the session is not active")
	}
	if told.Spec.Checksum.Algorithm != "SHA256" {
		return refusal(http.StatusBadRequest, "com.vmware.vapi.std.errors.invalid_argument", "send a SHA256 checksum")
	}
	answer := s.pass(r, body)
	var added struct {
		Value announced `json:"value"`
	}
	_ = json.Unmarshal(answer.Body.Bytes(), &added)
	file := &upload{session: opened, name: told.Spec.Name, size: told.Spec.Size, checksum: told.Spec.Checksum.Checksum}
	opened.files = slices.DeleteFunc(opened.files, func(old *upload) bool { return old.name == file.name })
	opened.files = append(opened.files, file)
	s.uploads[added.Value.path()] = file
	return answer
}

// receive: a file has the size and the checksum that were announced, or the session is in error.
func (s *strict) receive(r *http.Request, body []byte) *httptest.ResponseRecorder {
	file := s.uploads[r.URL.Path]
	if file == nil || file.session.state != "ACTIVE" {
		return refusal(http.StatusNotFound, "com.vmware.vapi.std.errors.not_found", "no such upload")
	}
	sum := sha256.Sum256(body)
	if seen := hex.EncodeToString(sum[:]); int64(len(body)) != file.size || seen != file.checksum {
		file.session.state = "ERROR"
		file.session.message = fmt.Sprintf("%s: %d bytes with SHA256 %s", file.name, len(body), seen)
		return httptest.NewRecorder()
	}
	if answer := s.pass(r, body); answer.Code != http.StatusOK { // it reads the header of a disk
		file.session.state, file.session.message = "ERROR", answer.Body.String()
		return httptest.NewRecorder()
	}
	file.body = body
	return httptest.NewRecorder()
}

func (s *strict) update(r *http.Request, id, action string, body []byte) *httptest.ResponseRecorder {
	opened := s.sessions[id]
	if opened == nil {
		return refusal(http.StatusNotFound, "com.vmware.vapi.std.errors.not_found", "no session "+id)
	}
	switch {
	case r.Method == http.MethodGet:
		return reply(opened.tell(id, s))
	case r.Method == http.MethodDelete:
		delete(s.sessions, id)
		return s.pass(r, body)
	case opened.state != "ACTIVE" || opened.reads > 0:
		return refusal(http.StatusBadRequest, notAllowed, "the session is "+opened.state)
	case action == "cancel":
		opened.state = "CANCELED"
	case action == "complete":
		if missing := opened.missing(); missing != "" {
			opened.state, opened.message = "ERROR", missing
		} else {
			opened.reads = pendingReads
		}
	}
	return httptest.NewRecorder()
}

// tell is the session as it is now; the last of the reads after its end makes the content visible.
func (opened *session) tell(id string, s *strict) map[string]any {
	if opened.reads > 0 {
		opened.reads--
		if opened.reads == 0 {
			opened.state = "DONE"
			delete(s.hidden, opened.item)
			s.contents[opened.item] = map[string][]byte{}
			for _, file := range opened.files {
				s.contents[opened.item][file.name] = file.body
			}
		}
	}
	told := map[string]any{"id": id, "library_item_id": opened.item, "state": opened.state}
	if opened.message != "" {
		told["error_message"] = map[string]any{"id": "error", "default_message": opened.message, "args": []string{}}
	}
	return told
}

// missing names what an OVF item still lacks.
func (opened *session) missing() string {
	var descriptor []byte
	sizes := map[string]int64{}
	for _, file := range opened.files {
		if file.body == nil {
			return "not received: " + file.name
		}
		sizes[file.name] = file.size
		if strings.HasSuffix(file.name, ".ovf") {
			descriptor = file.body
		}
	}
	var envelope struct {
		Files []struct {
			Name string `xml:"href,attr"`
			Size int64  `xml:"size,attr"`
		} `xml:"References>File"`
	}
	if err := xml.Unmarshal(descriptor, &envelope); err != nil || len(envelope.Files) == 0 {
		return "no OVF descriptor with a disk"
	}
	for _, file := range envelope.Files {
		if size, there := sizes[file.Name]; !there || size != file.Size {
			return "the descriptor names another file: " + file.Name
		}
	}
	return ""
}
