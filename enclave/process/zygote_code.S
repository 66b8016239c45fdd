/* What is put into a zygote once it stands still. It waits in a clone that the filter hands to the
 * tracer; whenever it is let through, a child is born that runs a list of system calls and then
 * waits in the same way. No stack is used, and nothing but registers.
 *
 *   r12  flags of the clone               r13  where the child's thread id goes
 *   r14  number of calls in the list      r15  their address (struct pv_zygote_call)
 *   rbp  every call's sixth argument
 * In the zygote rbx holds the last clone's result. In a child that failed r12 holds the negative
 * errno and r14 how many calls were left, the failed one included. */
        .section .rodata.pv_zygote, "a", @progbits
        .globl  pv_zygote_code, pv_zygote_code_bytes
        .hidden pv_zygote_code, pv_zygote_code_bytes
        .p2align 4
pv_zygote_code:
        movl    $56, %eax               /* clone */
        movq    %r12, %rdi
        xorl    %esi, %esi
        xorl    %edx, %edx
        movq    %r13, %r10
        xorl    %r8d, %r8d
        xorl    %r9d, %r9d
        syscall
        testq   %rax, %rax
        jz      .Lcall
        movq    %rax, %rbx
        jmp     pv_zygote_code
.Lcall:
        testq   %r14, %r14
        jz      .Ldone
        movq    (%r15), %rax
        movq    8(%r15), %rdi
        movq    16(%r15), %rsi
        movq    24(%r15), %rdx
        movq    32(%r15), %r10
        movq    40(%r15), %r8
        movq    %rbp, %r9
        syscall
        cmpq    $-4096, %rax
        ja      .Lfailed
        addq    $48, %r15
        decq    %r14
        jmp     .Lcall
.Lfailed:
        movq    %rax, %r12
.Ldone:
        movl    $56, %eax
        movl    $0x20000000, %edi       /* CLONE_NEWPID, only to be handed to the tracer */
        syscall
        hlt
.Lend:
        .p2align 3
pv_zygote_code_bytes:
        .quad   .Lend - pv_zygote_code
        .section .note.GNU-stack, "", @progbits
