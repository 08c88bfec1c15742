package main

import (
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// reportGuests does what VMware's tools do in a guest: each running machine has `ip` on its network cards.
func reportGuests(model *simulator.Model, ip string) {
	for range time.Tick(200 * time.Millisecond) {
		for _, entity := range model.Map().All("VirtualMachine") {
			vm := entity.(*simulator.VirtualMachine)
			context := model.Service.Context
			context.WithLock(vm, func() {
				running := vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn
				if running && !reported(vm) {
					context.Update(vm, []types.PropertyChange{{Name: "guest.net", Val: nics(vm, ip)}})
				}
			})
		}
	}
}

// A machine as its guest would find it.
type machine struct {
	Name      string            `json:"name"`
	Running   bool              `json:"running"`
	GuestInfo map[string]string `json:"guestinfo"`
}

func machines(model *simulator.Model) []machine {
	found := []machine{}
	for _, entity := range model.Map().All("VirtualMachine") {
		vm := entity.(*simulator.VirtualMachine)
		model.Service.Context.WithLock(vm, func() {
			told := map[string]string{}
			for _, option := range vm.Config.ExtraConfig {
				if value, isText := option.GetOptionValue().Value.(string); isText {
					told[option.GetOptionValue().Key] = value
				}
			}
			running := vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn
			found = append(found, machine{vm.Name, running, told})
		})
	}
	return found
}

// reported: the simulator gives a machine network cards without addresses by itself.
func reported(vm *simulator.VirtualMachine) bool {
	return len(vm.Guest.Net) > 0 && vm.Guest.Net[0].IpConfig != nil
}

func nics(vm *simulator.VirtualMachine, ip string) []types.GuestNicInfo {
	var found []types.GuestNicInfo
	devices := object.VirtualDeviceList(vm.Config.Hardware.Device)
	for _, card := range devices.SelectByType((*types.VirtualEthernetCard)(nil)) {
		address := types.NetIpConfigInfoIpAddress{IpAddress: ip, PrefixLength: 8, State: "preferred"}
		found = append(found, types.GuestNicInfo{
			MacAddress: card.(types.BaseVirtualEthernetCard).GetVirtualEthernetCard().MacAddress,
			Connected:  true,
			IpAddress:  []string{ip},
			IpConfig:   &types.NetIpConfigInfo{IpAddress: []types.NetIpConfigInfoIpAddress{address}},
		})
	}
	return found
}
