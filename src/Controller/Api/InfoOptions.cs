using Frusta.Contracts.Options;

namespace Frusta.Controller.Api;

/// <summary>Options of the information and operator endpoints (section <c>Controller:Info</c>).</summary>
public sealed class InfoOptions
{
    public const string Section = "Controller:Info";

    /// <summary>Shown as <c>build</c> by <c>GET /api/v1</c> and <c>wsk property get</c>.</summary>
    public string Build { get; set; } = "";

    /// <summary>Shown as <c>buildno</c> by <c>GET /api/v1</c> and <c>wsk property get</c>.</summary>
    public string BuildNumber { get; set; } = "";

    /// <summary>User that <c>POST /disable</c> asks for; empty closes that endpoint.</summary>
    public string OperatorName { get; set; } = "";

    /// <summary>Password that <c>POST /disable</c> asks for, at least 8 characters.</summary>
    [Secret]
    public string OperatorPassword { get; set; } = "";

    public string? Validate() => OperatorName.Length > 0 && OperatorPassword.Length < 8
        ? $"{Section}:{nameof(OperatorPassword)} must have at least 8 characters when {nameof(OperatorName)} is set."
        : null;
}
