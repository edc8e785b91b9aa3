using System.Diagnostics;
using System.Reflection;
using Frusta.Bus;
using Frusta.Server.Configuration;
using Frusta.Server.Doors;
using Frusta.Server.Parts;

namespace Frusta.Server.Roles;

/// <summary>Everything in one process. The parts are made from the far end of an invocation's path to the near end, and disposed in the opposite order.</summary>
internal static class StandaloneServer
{
    /// <summary>Runs until a signal asks for the end.</summary>
    /// <returns>The process' exit code.</returns>
    /// <exception cref="StartRefusedException">The server cannot start; the message says why and what to do.</exception>
    public static async Task<int> RunAsync(FrustaOptions options)
    {
        using var shutdown = new Shutdown();
        try
        {
            await RunAsync(options, shutdown);
        }
        catch (OperationCanceledException) when (shutdown.Asked.IsCancellationRequested)
        {
            // A signal came before the server was ready; the parts that were made are disposed by now.
        }

        return 0;
    }

    private static async Task RunAsync(FrustaOptions options, Shutdown shutdown)
    {
        var started = Stopwatch.GetTimestamp();
        using var process = new ProcessPart(options.Server, TimeProvider.System);
        var subjects = KnownSubjects.Read(options);
        var connections = ConnectionBound.Of(options.Server.MaxConnections);
        using var data = DataFolder.Open(options.Server.DataDir);

        await using var sandboxes = await SandboxesPart.MakeAsync(options, process, shutdown.Asked);
        await using var store = await StorePart.OpenAsync(options, data, process);
        await using var invoker = await InvokerPart.MakeAsync(options, sandboxes, store, process);
        using var bus = new BusPart(options.Bus, data, store, invoker, process);
        using var controller = new ControllerPart(
            options, subjects, store, bus.Bus, () => (invoker.Role.Health is "up" ? 1 : 0, 1), () => bus.Bus.Snapshot().Pending, process);

        await invoker.Role.StartAsync(shutdown.Asked);
        var recovered = await RecoverAsync(options, controller, bus, invoker, shutdown.Asked);

        // A signal that comes while the doors open does not interrupt their opening: the server ends in order once they are open.
        await using var doors = new ApiDoors(options.Server, sandboxes.ApiEndpoint, connections, invoker.Loops, process.Loggers);
        await doors.OpenAsync(controller.Api, controller.InnerApi);
        if (!shutdown.Asked.IsCancellationRequested)
        {
            StartScreen.Print(Console.Out, options, new StartFacts(
                Version(),
                doors.Port,
                subjects.WithStock && !options.Subjects.ContainsKey("guest"),
                data.Path,
                [.. connections.Report, .. ReportKeys(subjects, sandboxes), .. options.Warning is { } warning ? (string[])[warning] : []],
                sandboxes.Maker.Report,
                invoker.Catalog.Report,
                Describe(recovered),
                Stopwatch.GetElapsedTime(started)));
        }

        await shutdown.WaitAsync();
        await StopAsync(options, controller, bus, invoker, doors);
    }

    private static async Task<RecoverySummary> RecoverAsync(
        FrustaOptions options, ControllerPart controller, BusPart bus, InvokerPart invoker, CancellationToken cancellationToken)
    {
        try
        {
            return await bus.RecoverAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            await StopAsync(options, controller, bus, invoker, doors: null); // some recovered activations may run by now
            throw;
        }
    }

    /// <summary>Stops in path order: new calls are refused, running activations end, and those that wait and are on disk stay there for the next start.</summary>
    private static async Task StopAsync(FrustaOptions options, ControllerPart controller, BusPart bus, InvokerPart invoker, ApiDoors? doors)
    {
        controller.Close();
        var drain = TimeSpan.FromMilliseconds(options.Server.DrainMs);
        using var deadline = new CancellationTokenSource(drain);
        await bus.Bus.StopAsync(drain);
        await invoker.Role.StopAsync(deadline.Token);
        if (doors is not null)
        {
            await doors.CloseAsync(deadline.Token);
        }
    }

    private static string[] ReportKeys(KnownSubjects subjects, SandboxesPart sandboxes) => subjects.Differ && sandboxes.ApiEndpoint is not null
        ? ["the stock keys from outside only, since functions of other subjects could use them; Server:AllowStockKeys=true lets functions use them"]
        : [];

    private static List<string> Describe(RecoverySummary recovered)
    {
        (int Count, string What)[] facts =
        [
            (recovered.DeliveredAgain, "accepted activations that had not run, which run now"),
            (recovered.Interrupted, "interrupted activations, which have a record now"),
            (recovered.TooOld, "activations too old to be run, which have a record now"),
            (recovered.TriggersRecorded, "fired triggers without a record, which have one now"),
        ];
        return [.. facts.Where(fact => fact.Count > 0).Select(fact => $"{fact.Count} {fact.What}")];
    }

    private static string Version() =>
        typeof(StandaloneServer).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];
}
