using System.Diagnostics;
using System.Text;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;

namespace Frusta.Store.Benchmarks;

/// <summary>Records of about 0.9 kB of 20 namespaces with 25 actions each, the same for every store.</summary>
internal sealed class Workload
{
    public const int Namespaces = 20;
    public const int Actions = 25;
    private const int Seed = 4711;

    private static readonly string[] NamespaceNames = [.. Enumerable.Range(0, Namespaces).Select(i => $"namespace-{i}")];
    private static readonly string[] ActionNames = [.. Enumerable.Range(0, Actions).Select(i => $"package/action-{i}")];

    private readonly byte[] _filler = new byte[650];

    public Workload(int records)
    {
        Records = records;
        var random = new Random(Seed);
        for (var i = 0; i < _filler.Length; i++)
        {
            _filler[i] = (byte)('a' + random.Next(26));
        }

        Ids = new ActivationId[records];
    }

    public int Records { get; }

    /// <summary>The ids in the order of appending; filled by <see cref="Make"/>.</summary>
    public ActivationId[] Ids { get; }

    public static string NamespaceOf(int i) => NamespaceNames[i % Namespaces];

    public static string ActionOf(int i) => ActionNames[i / Namespaces % Actions];

    /// <summary>The record number <paramref name="i"/>. The buffer is the caller's.</summary>
    public FinishedActivation Make(int i, PooledBuffer buffer)
    {
        if (Ids[i] == default)
        {
            Ids[i] = ActivationId.New(TimeProvider.System);
        }

        var start = Ids[i].CreatedMs;
        buffer.Truncate(0);
        buffer.Write("{\"namespace\":\""u8);
        buffer.Write(Encoding.UTF8.GetBytes(NamespaceOf(i)));
        buffer.Write("\",\"activationId\":\""u8);
        Ids[i].WriteText(buffer.GetSpan(ActivationId.TextLength));
        buffer.Advance(ActivationId.TextLength);
        buffer.Write("\",\"response\":{\"status\":\"success\",\"success\":true,\"result\":{\"text\":\""u8);
        buffer.Write(_filler);
        buffer.Write("\"}},\"annotations\":[],\"publish\":false,\"logs\":[]}"u8);
        return new FinishedActivation
        {
            Id = Ids[i],
            Namespace = NamespaceOf(i),
            FilterName = ActionOf(i),
            StartMs = start,
            EndMs = start + 3,
            Status = ActivationStatus.Success,
            Record = buffer,
            LogsOffset = buffer.Length - 3,
        };
    }

    /// <summary>Prints a rate, with the processor time of the whole process beside the time on the clock.</summary>
    public static void Rate(string what, int count, Action run)
    {
        var processor = Process.GetCurrentProcess().TotalProcessorTime;
        var begun = Stopwatch.GetTimestamp();
        run();
        var elapsed = Stopwatch.GetElapsedTime(begun);
        var busy = Process.GetCurrentProcess().TotalProcessorTime - processor;
        Console.WriteLine(FormattableString.Invariant(
            $"  {what,-44} {count / elapsed.TotalSeconds,10:N0} /s  {elapsed.TotalMicroseconds / count,8:N2} us  processor {busy.TotalMicroseconds / count,8:N2} us"));
    }

    public static long BytesOf(string folder) => Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Sum(file => new FileInfo(file).Length);
}
