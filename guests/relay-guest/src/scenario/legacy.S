/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Out of long mode, through every kind of paging, and back. Called with interrupts off, on a stack below
 * 4 GiB; all tables lie there too, and everything is mapped where it is.
 */
    .text
    .code64
    .globl relay_guest_legacy
    .type relay_guest_legacy, @function
relay_guest_legacy:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    sidt relay_guest_saved_idt(%rip)
    pushq $0x18
    leaq 1f(%rip), %rax
    pushq %rax
    lretq

    .code32
1:  movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %cr0, %eax
    andl $0x7fffffff, %eax
    movl %eax, %cr0                 /* long mode is enabled and no more active */
    movl $relay_guest_fault32, %eax
    movw %ax, relay_guest_gates32 + 13 * 8
    shrl $16, %eax
    movw %ax, relay_guest_gates32 + 13 * 8 + 6
    lidt relay_guest_idt32
    movl %cr4, %eax
    andl $~0x20, %eax
    movl %eax, %cr4
    movl $1, {done}

    movl $0, {fault}
    movl $3, relay_guest_skip
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0                 /* long mode without PAE */
    movl {fault}, %eax
    movl %eax, {refused}
    movl $2, {done}

    movl $0xc0000080, %ecx
    rdmsr
    andl $~0x100, %eax
    wrmsr
    movl %cr4, %eax
    orl $0x10, %eax                 /* large pages */
    movl %eax, %cr4
    movl ${directory}, %eax
    movl %eax, %cr3
    call relay_guest_page_and_back
    movl $3, {done}

    movl %cr4, %eax
    orl $0x20, %eax
    movl %eax, %cr4
    movl ${pointers}, %eax
    movl %eax, %cr3
    call relay_guest_page_and_back
    movl $4, {done}

    movl $0xc0000080, %ecx
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl ${root}, %eax
    movl %eax, %cr3
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
    ljmp $0x08, $2f

/* Paging on, a few words through it, paging off. */
relay_guest_page_and_back:
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
    movl {done}, %edx
    pushl %edx
    popl {done}
    movl %cr0, %eax
    andl $0x7fffffff, %eax
    movl %eax, %cr0
    ret

/* #GP: keep that it came, go on behind the instruction. */
relay_guest_fault32:
    addl $4, %esp
    movl $13, {fault}
    pushl %eax
    movl relay_guest_skip, %eax
    addl %eax, 4(%esp)
    popl %eax
    iretl

    .code64
2:  lidt relay_guest_saved_idt(%rip)
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret
    .size relay_guest_legacy, . - relay_guest_legacy

    .data
    .balign 8
relay_guest_saved_idt:
    .word 0
    .quad 0
relay_guest_skip:
    .long 0
    .balign 8
relay_guest_gates32:
    .fill 13, 8, 0
    .word 0, 0x18, 0x8e00, 0        /* a 32-bit interrupt gate for #GP */
relay_guest_idt32:
    .word 14 * 8 - 1
    .long relay_guest_gates32
    .text
