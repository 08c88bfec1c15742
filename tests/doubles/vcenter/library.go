package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
)

type model struct {
	ID          string `json:"id"`
	Library     string `json:"library_id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Type        string `json:"type"`
}

// create: a name is there once per library. The new item has no content that anybody could see.
func (s *strict) create(r *http.Request, body []byte) *httptest.ResponseRecorder {
	var told struct {
		Spec model `json:"create_spec"`
	}
	_ = json.Unmarshal(body, &told)
	if s.taken(told.Spec.Library, told.Spec.Name, "") {
		return refusal(http.StatusBadRequest, alreadyExists, "an item named "+told.Spec.Name+" exists")
	}
	answer := s.pass(r, body)
	s.hidden[value(answer)] = &content{reads: -1}
	return answer
}

// rename: no name of another item.
func (s *strict) rename(r *http.Request, id string, body []byte) *httptest.ResponseRecorder {
	var told struct {
		Spec model `json:"update_spec"`
	}
	_ = json.Unmarshal(body, &told)
	item := s.item(id)
	if told.Spec.Name != "" && s.taken(item.Library, told.Spec.Name, id) {
		return refusal(http.StatusBadRequest, alreadyExists, "an item named "+told.Spec.Name+" exists")
	}
	return s.pass(r, body)
}

// copy: name and text as asked for, the files a while later.
func (s *strict) copy(r *http.Request, id string, body []byte, rule *fault) *httptest.ResponseRecorder {
	var told struct {
		Spec model `json:"destination_create_spec"`
	}
	_ = json.Unmarshal(body, &told)
	if s.taken(told.Spec.Library, told.Spec.Name, "") {
		return refusal(http.StatusBadRequest, alreadyExists, "an item named "+told.Spec.Name+" exists")
	}
	answer := s.pass(r, body)
	copied := value(answer)
	if answer.Code != http.StatusOK || copied == "" {
		return answer
	}
	spec := map[string]string{"name": told.Spec.Name, "description": told.Spec.Description}
	s.ask(http.MethodPatch, items+"/id:"+copied, map[string]any{"update_spec": spec}, nil)
	s.contents[copied] = s.contents[id]
	s.hidden[copied] = &content{reads: pendingReads, rollback: rule != nil && rule.Kind == "rollback"}
	return answer
}

// look: a copy that is rolled back goes away.
func (s *strict) look(r *http.Request, id string) *httptest.ResponseRecorder {
	if copied := s.hidden[id]; copied != nil && copied.rollback && copied.reads == 0 {
		s.ask(http.MethodDelete, items+"/id:"+id, nil, nil)
	}
	return s.pass(r, nil)
}

// files: none before the content is there as a whole.
func (s *strict) files(r *http.Request) *httptest.ResponseRecorder {
	id := r.URL.Query().Get("library_item_id")
	found := []map[string]any{}
	if s.visible(id) {
		for name, content := range s.contents[id] {
			found = append(found, map[string]any{"name": name, "size": len(content), "cached": true, "version": "1"})
		}
	}
	return reply(found)
}

func (s *strict) visible(id string) bool {
	copied := s.hidden[id]
	if copied != nil && copied.reads > 0 {
		copied.reads--
	} else if copied != nil && copied.reads == 0 && !copied.rollback {
		delete(s.hidden, id)
	}
	return s.hidden[id] == nil
}

// download remembers which item it is of.
func (s *strict) download(r *http.Request, body []byte) *httptest.ResponseRecorder {
	var told struct {
		Spec struct {
			Item string `json:"library_item_id"`
		} `json:"create_spec"`
	}
	_ = json.Unmarshal(body, &told)
	answer := s.pass(r, body)
	s.downloads[value(answer)] = told.Spec.Item
	return answer
}

// prepare: a file can be downloaded a while later; until then its answer has no address.
func (s *strict) prepare(r *http.Request, id, action string, body []byte) *httptest.ResponseRecorder {
	var told struct {
		Name string `json:"file_name"`
	}
	_ = json.Unmarshal(body, &told)
	if _, there := s.contents[s.downloads[id]][told.Name]; !there {
		return refusal(http.StatusNotFound, "com.vmware.vapi.std.errors.not_found", "no file "+told.Name)
	}
	key := id + "/" + told.Name
	if action == "prepare" { // which the simulator answers at once, with the address
		s.preparing[key] = &preparation{reads: pendingReads, answer: s.pass(r, body).Body.Bytes()}
	}
	file := s.preparing[key]
	if file == nil || file.reads > 0 {
		if file != nil {
			file.reads--
		}
		return reply(map[string]any{"name": told.Name, "status": "PREPARING", "bytes_transferred": 0})
	}
	var made struct {
		Value map[string]any `json:"value"`
	}
	_ = json.Unmarshal(file.answer, &made)
	sum := sha256.Sum256(s.contents[s.downloads[id]][told.Name])
	made.Value["status"] = "PREPARED"
	made.Value["checksum_info"] = map[string]string{"algorithm": "SHA256", "checksum": hex.EncodeToString(sum[:])}
	return reply(made.Value)
}

// give: the bytes as they came.
func (s *strict) give(r *http.Request) *httptest.ResponseRecorder {
	session, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, data), "/")
	content, there := s.contents[s.downloads[session]][name]
	if !there {
		return refusal(http.StatusNotFound, "com.vmware.vapi.std.errors.not_found", "no file "+name)
	}
	answer := httptest.NewRecorder()
	_, _ = answer.Write(content)
	return answer
}

// export: what CreateOVF makes of a machine has a descriptor and a disk; the simulator's has nothing.
func (s *strict) export(r *http.Request, body []byte) *httptest.ResponseRecorder {
	var told struct {
		Spec   model `json:"create_spec"`
		Target model `json:"target"`
	}
	_ = json.Unmarshal(body, &told)
	if s.taken(told.Target.Library, told.Spec.Name, "") {
		return refusal(http.StatusBadRequest, alreadyExists, "an item named "+told.Spec.Name+" exists")
	}
	answer := s.pass(r, body)
	var made struct {
		Value struct {
			ID string `json:"ovf_library_item_id"`
		} `json:"value"`
	}
	_ = json.Unmarshal(answer.Body.Bytes(), &made)
	if made.Value.ID != "" {
		s.contents[made.Value.ID] = map[string][]byte{
			told.Spec.Name + ".ovf": []byte("<Envelope/>"), told.Spec.Name + "-1.vmdk": []byte("KDMV"),
		}
	}
	return answer
}

func (s *strict) item(id string) model {
	var found model
	s.ask(http.MethodGet, items+"/id:"+id, nil, &found)
	return found
}

// taken: does another item of the library have the name? vCenter takes no notice of case.
func (s *strict) taken(library, name, but string) bool {
	var ids []string
	s.ask(http.MethodGet, query(items, map[string]string{"library_id": library}), nil, &ids)
	for _, id := range ids {
		if id != but && strings.EqualFold(s.item(id).Name, name) {
			return true
		}
	}
	return false
}

// value is the text that an answer carries, such as the ID of what was made.
func value(answer *httptest.ResponseRecorder) string {
	var made struct {
		Value string `json:"value"`
	}
	_ = json.Unmarshal(answer.Body.Bytes(), &made)
	return made.Value
}
