using System.Runtime.InteropServices;

namespace Frusta.Sandboxes.Processes;

/// <summary>Starts a process by <c>posix_spawn</c>, with exactly the descriptors, signals and session that are set here.</summary>
/// <remarks>
/// Unlike fork, it starts the child without copying the server's page tables. Unlike .NET's own Process, it closes every descriptor that was not
/// named (since glibc 2.34) and does not reap the child.
/// </remarks>
internal static unsafe partial class PosixSpawn
{
    // Room for both structures, which are smaller in glibc (80 and 336 bytes) and in musl.
    private const int ActionsSize = 256;
    private const int AttributesSize = 512;
    private const int SignalSetSize = 128;
    private const short SetSignalDefaults = 0x04;
    private const short SetSignalMask = 0x08;
    private const short NewSession = 0x80;

    /// <summary>Starts a program in a session of its own; returns its pid.</summary>
    /// <param name="program">Path of the program.</param>
    /// <param name="arguments">Its arguments, the name it is called by included.</param>
    /// <param name="environment">Its whole environment, as <c>name=value</c>.</param>
    /// <param name="folder">Folder in which it starts, or null for the server's.</param>
    /// <param name="descriptors">The server's descriptors, all 64 or above, in the order of their numbers in the child: 0, 1, 2, ...</param>
    /// <exception cref="IOException">The kernel or the C library refused.</exception>
    internal static int Start(string program, IReadOnlyList<string> arguments, IReadOnlyList<string> environment, string? folder, ReadOnlySpan<int> descriptors)
    {
        var actions = stackalloc byte[ActionsSize];
        var attributes = stackalloc byte[AttributesSize];
        var signals = stackalloc byte[SignalSetSize];
        var argumentVector = AllocateVector(arguments);
        var environmentVector = AllocateVector(environment);
        Check(InitializeActions(actions), "posix_spawn_file_actions_init");
        Check(InitializeAttributes(attributes), "posix_spawnattr_init");
        try
        {
            if (folder is not null)
            {
                Check(ChangeFolder(actions, folder), "posix_spawn_file_actions_addchdir_np");
            }

            for (var target = 0; target < descriptors.Length; target++)
            {
                Check(Duplicate(actions, descriptors[target], target), "posix_spawn_file_actions_adddup2");
            }

            Check(CloseFrom(actions, descriptors.Length), "posix_spawn_file_actions_addclosefrom_np");

            // .NET ignores SIGPIPE, and an ignored signal stays ignored over exec: a runner must start with the defaults.
            new Span<byte>(signals, SignalSetSize).Fill(0xff);
            Check(SetDefaults(attributes, signals), "posix_spawnattr_setsigdefault");
            new Span<byte>(signals, SignalSetSize).Clear();
            Check(SetMask(attributes, signals), "posix_spawnattr_setsigmask");
            Check(SetFlags(attributes, SetSignalDefaults | SetSignalMask | NewSession), "posix_spawnattr_setflags");
            var error = Spawn(out var pid, program, actions, attributes, argumentVector, environmentVector);
            return error == 0 ? pid : throw Libc.Failure($"Starting {program}", error);
        }
        finally
        {
            _ = DestroyActions(actions);
            _ = DestroyAttributes(attributes);
            FreeVector(argumentVector);
            FreeVector(environmentVector);
        }
    }

    private static byte** AllocateVector(IReadOnlyList<string> texts)
    {
        var vector = (byte**)NativeMemory.AllocZeroed((nuint)texts.Count + 1, (nuint)sizeof(byte*));
        for (var i = 0; i < texts.Count; i++)
        {
            vector[i] = (byte*)Marshal.StringToCoTaskMemUTF8(texts[i]);
        }

        return vector;
    }

    private static void FreeVector(byte** vector)
    {
        for (var i = 0; vector[i] is not null; i++)
        {
            Marshal.FreeCoTaskMem((nint)vector[i]);
        }

        NativeMemory.Free(vector);
    }

    private static void Check(int error, string call)
    {
        if (error != 0)
        {
            throw Libc.Failure(call, error);
        }
    }

    [LibraryImport("libc", EntryPoint = "posix_spawn", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Spawn(out int pid, string program, byte* actions, byte* attributes, byte** arguments, byte** environment);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_init")]
    private static partial int InitializeActions(byte* actions);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_destroy")]
    private static partial int DestroyActions(byte* actions);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_adddup2")]
    private static partial int Duplicate(byte* actions, int source, int target);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_addclosefrom_np")]
    private static partial int CloseFrom(byte* actions, int first);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_addchdir_np", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int ChangeFolder(byte* actions, string folder);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_init")]
    private static partial int InitializeAttributes(byte* attributes);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_destroy")]
    private static partial int DestroyAttributes(byte* attributes);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_setsigdefault")]
    private static partial int SetDefaults(byte* attributes, byte* signals);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_setsigmask")]
    private static partial int SetMask(byte* attributes, byte* signals);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_setflags")]
    private static partial int SetFlags(byte* attributes, short flags);
}
