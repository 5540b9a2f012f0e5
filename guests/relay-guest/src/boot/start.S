/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * From the loader's 32-bit protected mode to Rust in long mode.
 *
 * The boot CPU comes in by the PVH note or by the multiboot header: paging off, flat segments, EBX =
 * what the loader tells, EAX = the loader's magic if it is a multiboot loader. The others come in by the trampoline below, which the boot CPU copies under 1 MiB. Both take the
 * same way from `2:` on. The stack is the one that the boot CPU prepared for the next CPU.
 */
    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 4, 18                  /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long relay_guest_start

    .section .multiboot, "a"
    .balign 4
relay_guest_multiboot:
    .long 0x1badb002, 3, -(0x1badb002 + 3)      /* modules on pages, memory information */
    /* Of no meaning in an ELF file; bit 16 of the flags makes them valid for a flat one. */
    .long relay_guest_multiboot, __load_start, __load_end, __bss_end, relay_guest_start

    .section .text.boot, "ax"
    .code32
    .globl relay_guest_start
    .type relay_guest_start, @function
relay_guest_start:
    cli
    cld
    movl %ebx, %esi
    movl %eax, %ebp
    movl $__bss_start, %edi         /* nobody promises that a loader clears it */
    movl $__bss_end, %ecx
    subl %edi, %ecx
    shrl $2, %ecx
    xorl %eax, %eax
    rep stosl

    movl ${directories}, %edi       /* identity map of 4 GiB by 2 MiB pages */
    movl $0x83, %eax                /* present, writable, large */
    movl $2048, %ecx
1:  movl %eax, (%edi)
    addl $0x200000, %eax
    addl $8, %edi
    decl %ecx
    jnz 1b

    movl ${pointers}, %edi
    movl ${directories} + 3, %eax
    movl %eax, (%edi)
    addl $0x1000, %eax
    movl %eax, 8(%edi)
    addl $0x1000, %eax
    movl %eax, 16(%edi)
    addl $0x1000, %eax
    movl %eax, 24(%edi)
    movl ${pointers} + 3, {root}

2:  lgdt relay_guest_gdt_pointer
    movl ${root}, %eax
    movl %eax, %cr3
    movl %cr4, %eax
    orl $0x20, %eax                 /* PAE */
    movl %eax, %cr4
    movl $0xc0000080, %ecx          /* EFER */
    rdmsr
    orl $0x100, %eax                /* LME */
    wrmsr
    movl $0x80010031, %eax          /* PG, WP, NE, ET, PE; caches on */
    movl %eax, %cr0
    ljmp $0x08, $3f

    .code64
3:  movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movq {stack}, %rsp
    movl %esi, %edi                 /* 0 on all but the boot CPU */
    movl %ebp, %esi
    call {main}
    ud2
    .size relay_guest_start, . - relay_guest_start

    .code32
relay_guest_protected:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    cld
    xorl %esi, %esi
    jmp 2b

    .section .rodata.boot, "a"
    .balign 8
relay_guest_gdt:
    .quad 0
    .quad 0x00af9b000000ffff        /* 0x08: 64-bit code */
    .quad 0x00cf93000000ffff        /* 0x10: data */
    .quad 0x00cf9b000000ffff        /* 0x18: 32-bit code */
relay_guest_gdt_end:
relay_guest_gdt_pointer:
    .word relay_guest_gdt_end - relay_guest_gdt - 1
    .long relay_guest_gdt
    .long 0                         /* lgdt in 64-bit mode would read on */

    /* Runs where the start-up IPI points; addresses are absolute. */
    .code16
    .globl relay_guest_trampoline
relay_guest_trampoline:
    cli
    xorl %eax, %eax
    movw %ax, %ds
    lgdtl {trampoline} + (4f - relay_guest_trampoline)
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $0x18, $relay_guest_protected
    .balign 4
4:  .word relay_guest_gdt_end - relay_guest_gdt - 1
    .long relay_guest_gdt
    .globl relay_guest_trampoline_end
relay_guest_trampoline_end:
    .code64
    .text
